"""cashews, in an event loop."""

from __future__ import annotations

from typing import Any

from cashews import Cache

from benchmarks.cache.source import ENTRIES, TTL, Source, article


class Peer:
    """Memory and Redis; `lock=True` where callers meet."""

    def __init__(self, port: int, source: Source) -> None:
        self._memory, self._redis = Cache(), Cache()
        # Its sweep reads every entry once a second, which is no part of a hit.
        self._memory.setup("mem://", size=200_000, check_interval=3600)
        address = f"redis://127.0.0.1:{port}/0"
        self._redis.setup(address, max_connections=100, wait_for_connection_timeout=60)

        @self._memory(ttl=TTL, key="called:{number}")
        async def local_call(number: int) -> Any:
            return article(number)

        @self._redis(ttl=TTL, key="cashews:called:{number}")
        async def redis_call(number: int) -> Any:
            return article(number)

        @self._memory(ttl=TTL, key="slow:{number}", lock=True)
        async def slow_local(number: int) -> Any:
            return await source.slow_async(number)

        @self._redis(ttl=TTL, key="cashews:slow:{number}", lock=True)
        async def slow_redis(number: int) -> Any:
            return await source.slow_async(number)

        @self._redis(ttl=TTL, key="cashews:trace:{key}")
        async def traced(key: str) -> Any:
            return await source.slow_text_async(key)

        self.local_call, self.redis_call = local_call, redis_call
        self.slow_local, self.slow_redis, self.traced = slow_local, slow_redis, traced

    async def start(self) -> None:
        for number in range(ENTRIES):
            await self.local_set(f"article:{number}", article(number))
            await self._redis.set(f"cashews:article:{number}", article(number), expire=TTL)
            await self.local_call(number)

    async def local_get(self, number: int) -> Any:
        return await self._memory.get(f"article:{number}")

    async def local_set(self, key: str, value: Any) -> None:
        await self._memory.set(key, value, expire=TTL)

    async def redis_get(self, number: int) -> Any:
        return await self._redis.get(f"cashews:article:{number}")

    async def redis_many(self, numbers: list[int]) -> list[Any]:
        keys = [f"cashews:article:{number}" for number in numbers]
        return list(await self._redis.get_many(*keys))
