"""cacheme 0.3, in an environment of its own: it wants pydantic 1."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import cacheme
from cacheme.core import _awaits
from cacheme.serializer import MsgPackSerializer

from benchmarks.cache.source import ENTRIES, TTL, Source, article

LOCAL = cacheme.Cache(storage="local", ttl=timedelta(seconds=TTL))
REDIS = cacheme.Cache(storage="redis", ttl=timedelta(seconds=TTL))
source: Source


class _Keyed(cacheme.Node):
    def key(self) -> str:
        return f"{type(self).__name__}:{self.number}"

    async def load(self) -> Any:
        return article(self.number)


@dataclass
class LocalNode(_Keyed):
    """Local storage alone."""

    number: int

    class Meta(cacheme.Node.Meta):
        version = "1"
        caches = [LOCAL]  # noqa: RUF012  cacheme reads it so


@dataclass
class RedisNode(_Keyed):
    """Redis alone."""

    number: int

    @classmethod
    async def load_all(cls, nodes: Any) -> Any:
        return [(node, article(node.number)) for node in nodes]

    class Meta(cacheme.Node.Meta):
        version = "1"
        caches = [REDIS]  # noqa: RUF012  as its own docs have it
        serializer = MsgPackSerializer()


@dataclass
class SlowLocalNode(_Keyed):
    """Local storage and a slow load."""

    number: int

    async def load(self) -> Any:
        return await source.slow_async(self.number)

    class Meta(cacheme.Node.Meta):
        version = "1"
        caches = [LOCAL]  # noqa: RUF012  as its own docs have it


@dataclass
class SlowRedisNode(SlowLocalNode):
    """Redis and a slow load."""

    class Meta(cacheme.Node.Meta):
        version = "1"
        caches = [REDIS]  # noqa: RUF012  as its own docs have it
        serializer = MsgPackSerializer()


@dataclass
class TraceNode(_Keyed):
    """The node of cacheme's own benchmark."""

    number: str

    async def load(self) -> Any:
        return await source.slow_text_async(self.number)

    class Meta(cacheme.Node.Meta):
        version = "1"
        caches = [REDIS]  # noqa: RUF012  as its own docs have it
        serializer = MsgPackSerializer()


@dataclass
class ChainNode(TraceNode):
    """The same on a local storage before Redis."""

    class Meta(cacheme.Node.Meta):
        version = "1"
        caches = [LOCAL, REDIS]  # noqa: RUF012  as its own docs have it
        serializer = MsgPackSerializer()


@cacheme.Memoize(LocalNode)
async def called(number: int) -> Any:
    return article(number)


@called.to_node
def _(number: int) -> LocalNode:
    return LocalNode(number)


class Peer:
    """Local storage with W-TinyLFU, and Redis with MessagePack."""

    def __init__(self, port: int, loads: Source) -> None:
        global source  # noqa: PLW0603  a node's load has nothing but the node
        source = loads
        self._port = port
        self.local_call = called

    async def start(self) -> None:
        # Without room for all 200,000 keys of the trace it would be measured on evictions.
        await cacheme.register_storage("local", cacheme.Storage(url="local://tlfu", size=200_000))
        address = f"redis://127.0.0.1:{self._port}/0"
        await cacheme.register_storage("redis", cacheme.Storage(url=address, pool_size=100))
        for number in range(ENTRIES):
            await cacheme.get(LocalNode(number))
            await cacheme.get(RedisNode(number))

    async def local_get(self, number: int) -> Any:
        return await cacheme.get(LocalNode(number))

    async def local_set(self, key: str, _value: Any) -> None:
        await cacheme.get(TextNode(key))

    async def redis_get(self, number: int) -> Any:
        return await cacheme.get(RedisNode(number))

    async def redis_call(self, number: int) -> Any:
        return await cacheme.get(RedisNode(number))

    async def redis_many(self, numbers: list[int]) -> list[Any]:
        found = list(await cacheme.get_all([RedisNode(number) for number in numbers]))
        # It forgets to take what Redis had out of its calls under way, and would answer from there
        # from now on, for ever: that is no Redis hit.
        _awaits.clear()
        return found

    async def slow_local(self, number: int) -> Any:
        return await cacheme.get(SlowLocalNode(number))

    async def slow_redis(self, number: int) -> Any:
        return await cacheme.get(SlowRedisNode(number))

    async def traced(self, key: str) -> Any:
        return await cacheme.get(TraceNode(key))

    async def chained(self, key: str) -> Any:
        return await cacheme.get(ChainNode(key))


@dataclass
class TextNode(_Keyed):
    """A value that costs no memory of its own, to see what the cache needs."""

    number: str

    async def load(self) -> Any:
        return self.number

    class Meta(cacheme.Node.Meta):
        version = "1"
        caches = [LOCAL]  # noqa: RUF012  as its own docs have it
