"""Rate limits of one process."""

from __future__ import annotations

import threading
import time
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable

from limits import RateLimitItem
from limits.storage import MovingWindowSupport, Storage

from strongback.rate_limit.store import Backoff, Quota, RateLimitStore


class BoundedStorage(Storage, MovingWindowSupport):
    """A storage for `limits` that keeps a bounded number of keys.

    Its own storage in memory never forgets a key, and a thread walks through all of them 100 times
    a second.
    """

    @property
    def base_exceptions(self) -> type[Exception]:
        """Errors of a server, of which there is none."""
        return OSError

    def __init__(self, size: int, clock: Callable[[], float]) -> None:
        super().__init__()
        self._size = size
        self._clock = clock
        self.lock = threading.Lock()
        self._events: OrderedDict[str, list[float]] = OrderedDict()

    def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Count events, if so many fit into the window."""
        with self.lock:
            now, events = self._clock(), self.touch(key)
            del events[: bisect_right(events, now - expiry)]
            if len(events) + amount > limit:
                return False
            events += [now] * amount
            return True

    def get_moving_window(
        self, key: str, limit: int, expiry: int  # noqa: ARG002  the library's signature
    ) -> tuple[float, int]:
        """Return the time of the oldest event in the window, and how many it holds."""
        with self.lock:
            now = self._clock()
            events = self._events.get(key, [])
            first = bisect_right(events, now - expiry)
            return (events[first], len(events) - first) if first < len(events) else (now, 0)

    def clear(self, key: str) -> None:
        """Forget the key."""
        with self.lock:
            self._events.pop(key, None)

    def reset(self) -> int:
        """Forget every key; return how many there were."""
        with self.lock:
            count = len(self._events)
            self._events.clear()
            return count

    def check(self) -> bool:
        """Tell that it works."""
        return True

    def touch(self, key: str) -> list[float]:
        """Return the key's events, to be changed under the lock; it is the last to make room."""
        events = self._events.setdefault(key, [])
        self._events.move_to_end(key)
        if len(self._events) > self._size:
            self._events.popitem(last=False)
        return events

    # The counters of other strategies, which are not used

    def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        """Refuse: there are no counters."""
        raise NotImplementedError

    def get(self, key: str) -> int:
        """Refuse: there are no counters."""
        raise NotImplementedError

    def get_expiry(self, key: str) -> float:
        """Refuse: there are no counters."""
        raise NotImplementedError


class MemoryRateLimitStore(RateLimitStore):
    """Stores events in this process.

    Args:
        size: Maximum number of keys; the least recently used one is dropped.
        clock: Monotonic time in seconds.
    """

    def __init__(self, size: int = 50_000, clock: Callable[[], float] = time.monotonic) -> None:
        self._storage = BoundedStorage(size, clock)
        super().__init__(self._storage)
        self._clock = clock
        self._size = size
        self._seen: OrderedDict[str, float] = OrderedDict()

    def _now(self) -> float:
        return self._clock()

    def give_back(self, key: str, rate: RateLimitItem | None = None) -> None:
        """Remove the last event of the key."""
        with self._storage.lock:
            if events := self._storage.touch(rate.key_for(key) if rate else key):
                del events[-1]

    def attempt(self, key: str, backoff: Backoff) -> Quota:
        """Count an attempt as a failure, if earlier ones allow it."""
        with self._storage.lock:
            now, events = self._clock(), self._storage.touch(key)
            if events and events[-1] <= now - backoff.memory:
                events.clear()
            quota = backoff.quota(len(events), now - events[-1] if events else 0.0)
            if not quota.is_granted:
                return quota
            events.append(now)
            return backoff.granted(len(events))

    def forget(self, key: str) -> None:
        """Remove all attempts of the key."""
        self._storage.clear(key)

    def remember(self, key: str, seconds: int) -> None:
        """Remember the key for some seconds."""
        with self._storage.lock:
            self._seen[key] = self._clock() + seconds
            self._seen.move_to_end(key)
            if len(self._seen) > self._size:
                self._seen.popitem(last=False)

    def remembers(self, key: str) -> bool:
        """Whether the key is remembered."""
        with self._storage.lock:
            return self._seen.get(key, 0.0) > self._clock()
