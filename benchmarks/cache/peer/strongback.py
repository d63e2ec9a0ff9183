"""Strongback's own cache."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict

from benchmarks.cache.source import ENTRIES, TTL, Source, article
from strongback.cache import LocalStorage, Manager, Node, RedisStorage
from strongback.redis import connect

source: Source


class Author(BaseModel):
    """A part of an article."""

    id: int
    name: str


class Article(BaseModel):
    """The same as a model: what a cached value is by default, checked when it comes from Redis."""

    model_config = ConfigDict(frozen=True)

    id: int
    slug: str
    title: str
    summary: str
    author: Author
    tags: list[str]
    created_at: str
    updated_at: str
    comment_count: int
    like_count: int
    is_published: bool
    language: str
    version: int


class _Numbered(Node[dict[str, Any]]):
    ttl: ClassVar[timedelta] = timedelta(seconds=TTL)

    def __init__(self, number: int) -> None:
        self.number = number

    def key(self) -> str:
        return str(self.number)


class LocalNode(_Numbered):
    """Local storage alone."""

    storages: ClassVar = ["local"]

    def load(self) -> dict[str, Any]:
        return article(self.number)


class RedisNode(_Numbered):
    """Redis alone."""

    storages: ClassVar = ["redis"]

    def load(self) -> dict[str, Any]:
        return article(self.number)


class SlowLocalNode(_Numbered):
    """Local storage and a slow load."""

    storages: ClassVar = ["local"]

    def load(self) -> dict[str, Any]:
        return source.slow(self.number)


class SlowRedisNode(_Numbered):
    """Both storages and a slow load."""

    storages: ClassVar = ["local", "redis"]

    def load(self) -> dict[str, Any]:
        return source.slow(self.number)


class TypedNode(Node[Article]):
    """Redis alone, values checked and built as models."""

    storages: ClassVar = ["redis"]
    ttl: ClassVar[timedelta] = timedelta(seconds=TTL)

    def __init__(self, number: int) -> None:
        self.number = number

    def key(self) -> str:
        return str(self.number)

    def load(self) -> Article:
        return Article.model_validate(article(self.number))


class TextNode(Node[str]):
    """A text that is its own key: what the cache itself needs."""

    storages: ClassVar = ["local"]
    ttl: ClassVar[timedelta] = timedelta(seconds=TTL)

    def __init__(self, text: str) -> None:
        self.text = text

    def key(self) -> str:
        return self.text

    def load(self) -> str:
        return source.slow_text(self.text)


class TraceNode(TextNode):
    """The node of cacheme's benchmark, on Redis."""

    storages: ClassVar = ["redis"]


class ChainNode(TextNode):
    """The same on a local storage before Redis."""

    storages: ClassVar = ["local", "redis"]


class Peer:
    """Both storages, as the application registers them."""

    def __init__(self, port: int, loads: Source) -> None:
        global source  # noqa: PLW0603  a node's load has nothing but the node
        source = loads
        self._cache = cache = Manager()
        cache.register_storage("local", LocalStorage(size=200_000))
        # The others wait for Redis without end. Within the 0.2 s of an application 1,000 threads on
        # two cores may not get the GIL, and would then do without Redis, as with a slow server.
        client = connect(f"redis://127.0.0.1:{port}/0", connections=16, timeout=5)
        cache.register_storage("redis", RedisStorage(client, prefix="strongback:"))

        @cache.cached(storages=["local"], ttl=timedelta(seconds=TTL))
        def local_call(number: int) -> dict[str, Any]:
            return article(number)

        self.local_call = local_call

    def start(self) -> None:
        for number in range(ENTRIES):
            self.local_get(number)
            self.redis_get(number)
            self.redis_typed(number)
            self.local_call(number)

    def local_get(self, number: int) -> Any:
        return self._cache.get(LocalNode(number))

    def local_set(self, key: str, value: str) -> None:
        self._cache.set(TextNode(key), value)

    def redis_get(self, number: int) -> Any:
        return self._cache.get(RedisNode(number))

    def redis_typed(self, number: int) -> Any:
        return self._cache.get(TypedNode(number))

    def redis_call(self, number: int) -> Any:
        return self._cache.get(RedisNode(number))

    def redis_many(self, numbers: list[int]) -> list[Any]:
        return self._cache.get_all([RedisNode(number) for number in numbers])

    def redis_many_typed(self, numbers: list[int]) -> list[Any]:
        return self._cache.get_all([TypedNode(number) for number in numbers])

    def slow_local(self, number: int) -> Any:
        return self._cache.get(SlowLocalNode(number))

    def slow_redis(self, number: int) -> Any:
        return self._cache.get(SlowRedisNode(number))

    def traced(self, key: str) -> Any:
        return self._cache.get(TraceNode(key))

    def chained(self, key: str) -> Any:
        return self._cache.get(ChainNode(key))
