"""Rate limits by a moving window, in this process or shared through Redis.

Any period of the rate's length has at most the rate's number of events. The cheaper sliding counter
keeps two numbers instead of times, and assumes that earlier events were spread evenly; against
guessed passwords a burst must not pass, and `Retry-After` should be exact. The limits are small (5
to 100), so this costs a few hundred bytes a key and no more time (49 µs to 45 on Redis).
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, Self

import limits


@dataclass(frozen=True, slots=True)
class Rate:
    """A number of events in a number of seconds."""

    amount: int
    seconds: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `20/minute`, `5 per 15 minutes`, `100/day`.

        Raises:
            ValueError: The text is invalid, or allows nothing.
        """
        item = limits.parse(text)
        if item.amount < 1 or item.get_expiry() < 1:
            raise ValueError(f"{text!r} allows nothing: remove the route instead")
        return cls(item.amount, item.get_expiry())


@dataclass(frozen=True, slots=True)
class Quota:
    """State of a key after an event."""

    is_granted: bool
    """Whether the event is allowed; if so, it was counted."""
    remaining: int
    """Number of further events that are allowed now."""
    reset: float
    """Seconds until the oldest event leaves the window."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """Some failures are free; each further one doubles the wait, up to a last one."""

    free: int
    first: int
    """Seconds to wait after the last free failure."""
    longest: int
    """Maximum wait in seconds."""
    most: int
    """Number of failures after which all attempts are refused until the key is forgotten."""
    memory: int
    """Seconds after the last failure until all are forgotten."""

    def wait(self, failures: int) -> int:
        """Seconds to wait after a number of failures."""
        if failures < self.free:
            return 0
        return int(min(self.longest, self.first * 2 ** min(failures - self.free, 30)))

    def granted(self, failures: int) -> Quota:
        """State of a key whose current attempt is counted as a failure."""
        reset = self.wait(failures) or self.first
        return Quota(is_granted=True, remaining=max(0, self.free - failures), reset=reset)

    def quota(self, failures: int, passed: float) -> Quota:
        """State of a key.

        Args:
            failures: Number of failures.
            passed: Seconds since the last one.
        """
        if failures >= self.most:
            return Quota(is_granted=False, remaining=0, reset=self.longest)
        wait = self.wait(failures) - passed
        return Quota(wait <= 0, max(0, self.free - failures), max(wait, 0))


class RateLimitStore(Protocol):
    """Stores the events of all keys."""

    def take(self, key: str, rate: Rate) -> Quota:
        """Count one event if the rate allows it; a refused one is not counted."""
        ...

    def give_back(self, key: str) -> None:
        """Remove the last event of the key."""
        ...

    def attempt(self, key: str, backoff: Backoff) -> Quota:
        """Count an attempt as a failure, if earlier ones allow it; see `give_back`."""
        ...

    def forget(self, key: str) -> None:
        """Remove all events of the key."""
        ...

    def remember(self, key: str, seconds: int) -> None:
        """Remember the key for some seconds."""
        ...

    def remembers(self, key: str) -> bool:
        """Whether the key is remembered."""
        ...


class MemoryRateLimitStore:
    """Stores events in this process.

    The storage of `limits` never forgets a key, and a thread of its own walks through all of them
    100 times a second.

    Args:
        size: Maximum number of keys; the least recently used one is dropped.
        clock: Monotonic time in seconds.
    """

    def __init__(self, size: int = 50_000, clock: Callable[[], float] = time.monotonic) -> None:
        self._size = size
        self._clock = clock
        self._lock = threading.Lock()
        self._events: OrderedDict[str, list[float]] = OrderedDict()
        self._seen: OrderedDict[str, float] = OrderedDict()

    def take(self, key: str, rate: Rate) -> Quota:
        """Count one event if the rate allows it."""
        with self._lock:
            now, events = self._clock(), self._touch(key)
            while events and events[0] <= now - rate.seconds:
                del events[0]
            if is_granted := len(events) < rate.amount:
                events.append(now)
            return Quota(is_granted, rate.amount - len(events), events[0] + rate.seconds - now)

    def give_back(self, key: str) -> None:
        """Remove the last event of the key."""
        with self._lock:
            if events := self._events.get(key):
                del events[-1]

    def attempt(self, key: str, backoff: Backoff) -> Quota:
        """Count an attempt as a failure, if earlier ones allow it."""
        with self._lock:
            now, events = self._clock(), self._touch(key)
            if events and events[-1] <= now - backoff.memory:
                events.clear()
            quota = backoff.quota(len(events), now - events[-1] if events else 0.0)
            if not quota.is_granted:
                return quota
            events.append(now)
            return backoff.granted(len(events))

    def forget(self, key: str) -> None:
        """Remove all events of the key."""
        with self._lock:
            self._events.pop(key, None)

    def remember(self, key: str, seconds: int) -> None:
        """Remember the key for some seconds."""
        with self._lock:
            self._seen[key] = self._clock() + seconds
            self._seen.move_to_end(key)
            if len(self._seen) > self._size:
                self._seen.popitem(last=False)

    def remembers(self, key: str) -> bool:
        """Whether the key is remembered."""
        with self._lock:
            return self._seen.get(key, 0.0) > self._clock()

    def _touch(self, key: str) -> list[float]:
        events = self._events.setdefault(key, [])
        self._events.move_to_end(key)
        if len(self._events) > self._size:
            self._events.popitem(last=False)
        return events
