"""aiocache, in an event loop."""

from __future__ import annotations

from typing import Any

import orjson
from aiocache import RedisCache, SimpleMemoryCache, cached, cached_stampede
from aiocache.serializers import BaseSerializer
from redis.asyncio import BlockingConnectionPool

from benchmarks.cache.source import ENTRIES, TTL, Source, article


class Serializer(BaseSerializer):
    """The fastest JSON there is."""

    DEFAULT_ENCODING = None

    def dumps(self, value: Any) -> bytes:
        return orjson.dumps(value)

    def loads(self, value: bytes | None) -> Any:
        return None if value is None else orjson.loads(value)


def _key(_function: Any, number: Any) -> str:
    return str(number)


class Peer:
    """Memory and Redis; `cached_stampede` where callers meet."""

    def __init__(self, port: int, source: Source) -> None:
        self._memory = SimpleMemoryCache(timeout=60)
        self._remote = {
            name: RedisCache(
                port=port,
                namespace=f"aiocache:{name}",
                serializer=Serializer(),
                timeout=60,
                pool_max_size=100,
                connection_pool_class=BlockingConnectionPool,
                connection_pool_kwargs={"timeout": 60},
            )
            for name in ("article", "called", "slow", "trace")
        }

        async def load_article(number: int) -> Any:
            return article(number)

        self.local_call = cached(ttl=TTL, key_builder=_key)(load_article)
        self.redis_call = self._on("called", cached(ttl=TTL, key_builder=_key), load_article)
        stampede = cached_stampede(lease=10, ttl=TTL, key_builder=_key)
        self.slow_local = cached_stampede(lease=10, ttl=TTL, key_builder=_key)(source.slow_async)
        self.slow_redis = self._on("slow", stampede, source.slow_async)
        plain = cached(ttl=TTL, key_builder=_key)
        self.traced = self._on("trace", plain, source.slow_text_async)

    def _on(self, name: str, decorator: Any, load: Any) -> Any:
        """Let a decorator use a cache that is there already."""
        wrapped = decorator(load)
        decorator.cache = wrapped.cache = self._remote[name]
        return wrapped

    async def start(self) -> None:
        for number in range(ENTRIES):
            await self.local_set(f"article:{number}", article(number))
            await self._remote["article"].set(str(number), article(number), ttl=TTL)
            await self.local_call(number)

    async def local_get(self, number: int) -> Any:
        return await self._memory.get(f"article:{number}")

    async def local_set(self, key: str, value: Any) -> None:
        await self._memory.set(key, value, ttl=TTL)

    async def redis_get(self, number: int) -> Any:
        return await self._remote["article"].get(str(number))

    async def redis_many(self, numbers: list[int]) -> list[Any]:
        return list(await self._remote["article"].multi_get([str(each) for each in numbers]))
