"""dogpile.cache: JSON in Redis, and its distributed lock where processes meet."""

from __future__ import annotations

from typing import Any

import orjson
from dogpile.cache import make_region
from redis import BlockingConnectionPool

from benchmarks.cache.source import ENTRIES, TTL, Source, article


class Peer:
    """Regions in memory and in Redis."""

    def __init__(self, port: int, source: Source) -> None:
        self._source = source
        self._memory = make_region().configure("dogpile.cache.memory", expiration_time=TTL)
        self._redis = self._region(port, distributed_lock=False)
        self._locked = self._region(port, distributed_lock=True)

        @self._memory.cache_on_arguments()
        def local_call(number: int) -> Any:
            return article(number)

        @self._redis.cache_on_arguments(namespace="called")
        def redis_call(number: int) -> Any:
            return article(number)

        @self._memory.cache_on_arguments(namespace="slow")
        def slow_local(number: int) -> Any:
            return source.slow(number)

        @self._locked.cache_on_arguments(namespace="slow")
        def slow_redis(number: int) -> Any:
            return source.slow(number)

        self.local_call, self.redis_call = local_call, redis_call
        self.slow_local, self.slow_redis = slow_local, slow_redis

    @staticmethod
    def _region(port: int, *, distributed_lock: bool) -> Any:
        pool = BlockingConnectionPool(port=port, max_connections=100, timeout=60)
        region = make_region(
            key_mangler=lambda key: f"dogpile:{key}",
            serializer=orjson.dumps,
            deserializer=orjson.loads,
        )
        arguments = {
            "connection_pool": pool,
            "distributed_lock": distributed_lock,
            "lock_timeout": 10,
            "lock_sleep": 0.01,
            "redis_expiration_time": TTL * 2,
            "thread_local_lock": False,
        }
        return region.configure("dogpile.cache.redis", expiration_time=TTL, arguments=arguments)

    def start(self) -> None:
        values = {f"article:{number}": article(number) for number in range(ENTRIES)}
        self._memory.set_multi(values)
        self._redis.set_multi(values)
        for number in range(ENTRIES):
            self.local_call(number)

    def local_get(self, number: int) -> Any:
        # What loads when it finds nothing, as `get(node)` does; see `local_plain` for the rest.
        return self._memory.get_or_create(f"article:{number}", self._never)

    def local_plain(self, number: int) -> Any:
        return self._memory.get(f"article:{number}")

    @staticmethod
    def _never() -> Any:
        raise AssertionError("a hit loads nothing")

    def local_set(self, key: str, value: Any) -> None:
        self._memory.set(key, value)

    def redis_get(self, number: int) -> Any:
        return self._redis.get(f"article:{number}")

    def redis_many(self, numbers: list[int]) -> list[Any]:
        return list(self._redis.get_multi([f"article:{number}" for number in numbers]))

    def traced(self, key: str) -> Any:
        # With the distributed lock a process's own callers wait for each other by polling Redis.
        load = lambda: self._source.slow_text(key)  # noqa: E731  shorter than a function
        return self._redis.get_or_create(f"trace:{key}", load)
