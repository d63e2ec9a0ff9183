"""Flask-Caching."""

from __future__ import annotations

from typing import Any

from flask import Flask
from flask_caching import Cache
from redis import BlockingConnectionPool, Redis

from benchmarks.cache.source import ENTRIES, TTL, Source, article


class Peer:
    """SimpleCache, and RedisCache on a pool that waits instead of failing."""

    def __init__(self, port: int, source: Source) -> None:
        self._source = source
        memory = {"CACHE_TYPE": "SimpleCache", "CACHE_THRESHOLD": 200_000}
        self._memory = Cache(Flask("memory"), config=memory | {"CACHE_DEFAULT_TIMEOUT": TTL})
        pool = BlockingConnectionPool(port=port, max_connections=100, timeout=60)
        remote = {
            "CACHE_TYPE": "RedisCache",
            "CACHE_REDIS_HOST": Redis(connection_pool=pool),
            "CACHE_KEY_PREFIX": "flask-caching:",
            "CACHE_DEFAULT_TIMEOUT": TTL,
        }
        self._redis = Cache(Flask("redis"), config=remote)

        @self._memory.memoize()
        def local_call(number: int) -> Any:
            return article(number)

        @self._redis.memoize()
        def redis_call(number: int) -> Any:
            return article(number)

        @self._memory.memoize()
        def slow_local(number: int) -> Any:
            return source.slow(number)

        @self._redis.memoize()
        def slow_redis(number: int) -> Any:
            return source.slow(number)

        @self._redis.memoize()
        def traced(key: str) -> Any:
            return source.slow_text(key)

        self.local_call, self.redis_call = local_call, redis_call
        self.slow_local, self.slow_redis, self.traced = slow_local, slow_redis, traced

    def start(self) -> None:
        for number in range(ENTRIES):
            self._memory.set(f"article:{number}", article(number))
            self._redis.set(f"article:{number}", article(number))
            self.local_call(number)

    def local_get(self, number: int) -> Any:
        return self._memory.get(f"article:{number}")

    def local_set(self, key: str, value: Any) -> None:
        self._memory.set(key, value)

    def redis_get(self, number: int) -> Any:
        return self._redis.get(f"article:{number}")

    def redis_many(self, numbers: list[int]) -> list[Any]:
        return list(self._redis.get_many(*[f"article:{number}" for number in numbers]))
