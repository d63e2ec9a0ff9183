"""Single flight: one load per key and process, and no stale value after a removal.

The thread that loads a key holds its flight, and may store only as long as it is the key's current
one. A removal takes the flight away, so that what was read before the removal is not kept after it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from strongback.cache.error import CacheMisuse


class Flight:
    """One load of one key or several, and the threads that wait for it."""

    __slots__ = ("done", "error", "outdated", "thread", "values")

    def __init__(self) -> None:
        self.thread = threading.get_ident()
        self.values: dict[str, Any] = {}
        """Values by key; a key may also end without one."""
        self.error: Exception | None = None
        self.outdated: frozenset[str] = frozenset()
        """Keys removed meanwhile: their values may have been read before the removal."""
        self.done: threading.Event | None = None
        """Set at the end; made for the first who waits, since most flights have nobody."""

    def wait(self, seconds: float) -> bool:
        """Wait until the flight has ended; tell whether it has."""
        return self.done is None or self.done.wait(seconds)


class SingleFlight:
    """The current flight of each key that is being loaded."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget the threads of a parent process."""
        self._lock = threading.Lock()
        self._current: dict[str, Flight] = {}

    def __len__(self) -> int:
        return len(self._current)

    def join(self, key: str) -> tuple[Flight, bool]:
        """Return the key's flight, and whether the caller leads it or waits for it.

        Raises:
            CacheMisuse: Loading the key has led to asking for it.
        """
        with self._lock:
            flight = self._current.get(key)
            if flight is None:
                flight = self._current[key] = Flight()
                return flight, True
            if flight.thread == threading.get_ident():
                message = f"loading {key!r} asks the cache for {key!r}; load it from its source"
                raise CacheMisuse(message)
            if flight.done is None:
                flight.done = threading.Event()
            return flight, False

    def join_all(self, keys: Sequence[str]) -> tuple[Flight, list[str], list[str]]:
        """Return a new flight for the keys that have none; these keys; and those that have one."""
        flight = Flight()
        with self._lock:
            current = self._current
            own = [key for key in keys if key not in current] if current else list(keys)
            others = [key for key in keys if key in current] if len(own) < len(keys) else []
            current.update(dict.fromkeys(own, flight))
        return flight, own, others

    def replace(self, key: str) -> Flight:
        """Return a new flight, in place of any that is under way."""
        with self._lock:
            self._outdate(key)
            flight = self._current[key] = Flight()
        return flight

    def is_under_way(self, key: str) -> bool:
        """Tell whether a thread loads the key."""
        return key in self._current

    def store(
        self, flight: Flight, keys: Iterable[str], store: Callable[[list[str]], object]
    ) -> None:
        """Store under those keys whose current flight is this."""
        with self._lock:
            current = [key for key in keys if self._current.get(key) is flight]
            if current:
                store(current)

    def finish(self, flight: Flight, keys: Iterable[str]) -> None:
        """End a flight, whatever has become of it, and wake those who wait."""
        with self._lock:
            current = self._current
            for key in keys:
                if current.get(key) is flight:
                    del current[key]
            if flight.done is not None:
                flight.done.set()

    def abandon(self, flight: Flight, key: str) -> None:
        """Take a flight that lasts too long out of the way of others."""
        with self._lock:
            if self._current.get(key) is flight:
                del self._current[key]

    def remove(self, keys: Iterable[str], remove: Callable[[], object]) -> None:
        """Take the keys' flights away, and remove what is stored, in one step."""
        with self._lock:
            for key in keys:
                self._outdate(key)
            remove()

    def clear(self, clear: Callable[[], object]) -> None:
        """Take every flight's right to store away, and clear what is stored, in one step."""
        with self._lock:
            self._current.clear()
            clear()

    def _outdate(self, key: str) -> None:
        if (flight := self._current.pop(key, None)) is not None:
            flight.outdated |= {key}
