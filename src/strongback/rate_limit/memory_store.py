"""Rate limits of one process."""

from __future__ import annotations

import threading
import time
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable

from limits import RateLimitItem

from strongback.rate_limit.store import Backoff, Quota, RateLimitStore


class MemoryRateLimitStore(RateLimitStore):
    """Stores events in this process.

    The library's own storage in memory never forgets a key, and a thread of it walks through all of
    them 100 times a second.

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

    def hit(self, key: str, rate: RateLimitItem) -> Quota:
        """Count one event if the rate allows it; a refused one is not counted."""
        with self._lock:
            now, events, seconds = self._clock(), self._touch(rate.key_for(key)), rate.get_expiry()
            del events[: bisect_right(events, now - seconds)]
            is_granted = len(events) < rate.amount
            if is_granted:
                events.append(now)
            return Quota(is_granted, rate.amount - len(events), events[0] + seconds - now)

    def give_back(self, key: str, rate: RateLimitItem | None = None) -> None:
        """Remove the last event of the key."""
        with self._lock:
            if events := self._touch(rate.key_for(key) if rate else key):
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
        """Remove all attempts of the key."""
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
        """Return the key's events, to be changed under the lock; it is the last to make room."""
        events = self._events.setdefault(key, [])
        self._events.move_to_end(key)
        if len(self._events) > self._size:
            self._events.popitem(last=False)
        return events
