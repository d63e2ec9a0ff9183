"""cachetools: memory only, with the lock that threads need."""

from __future__ import annotations

from threading import Condition, Lock
from typing import Any

from cachetools import TTLCache, cached

from benchmarks.cache.source import ENTRIES, TTL, Source, article


class Peer:
    """TTLCache; the condition lets one caller load while the others wait."""

    def __init__(self, _port: int, source: Source) -> None:
        self._cache: TTLCache[str, Any] = TTLCache(200_000, TTL)
        self._lock = Lock()

        @cached(TTLCache(200_000, TTL), lock=Lock())
        def local_call(number: int) -> Any:
            return article(number)

        @cached(TTLCache(1_000, TTL), condition=Condition())
        def slow_local(number: int) -> Any:
            return source.slow(number)

        self.local_call, self.slow_local = local_call, slow_local

    def start(self) -> None:
        for number in range(ENTRIES):
            self.local_set(f"article:{number}", article(number))
            self.local_call(number)

    def local_get(self, number: int) -> Any:
        with self._lock:
            return self._cache.get(f"article:{number}")

    def local_set(self, key: str, value: Any) -> None:
        with self._lock:
            self._cache[key] = value
