"""redis-py alone, with the parsers that the cache uses: the floor under every Redis figure."""

from __future__ import annotations

from typing import Any

import orjson
from pydantic import TypeAdapter
from redis import BlockingConnectionPool, Redis

from benchmarks.cache.peer.strongback import Article
from benchmarks.cache.source import ENTRIES, TTL, Source, article


class Peer:
    """GET and decode, GET and SET, one MGET."""

    def __init__(self, port: int, _source: Source) -> None:
        pool = BlockingConnectionPool(port=port, max_connections=100, timeout=30)
        self._client = Redis(connection_pool=pool)
        self._read = TypeAdapter(dict[str, Any]).validator.validate_json
        self._validate = TypeAdapter(Article).validator.validate_json

    def start(self) -> None:
        for number in range(ENTRIES):
            key = f"floor:article:{number}"
            self._client.set(key, orjson.dumps(article(number)), ex=TTL)

    def redis_get(self, number: int) -> Any:
        found: Any = self._client.get(f"floor:article:{number}")
        return self._read(found)

    def redis_typed(self, number: int) -> Any:
        found: Any = self._client.get(f"floor:article:{number}")
        return self._validate(found)

    def redis_call(self, number: int) -> Any:
        key = f"floor:called:{number}"
        found: Any = self._client.get(key)
        if found is not None:
            return self._read(found)
        value = article(number)
        self._client.set(key, orjson.dumps(value), ex=TTL)
        return value

    def redis_many(self, numbers: list[int]) -> list[Any]:
        found: Any = self._client.mget([f"floor:article:{number}" for number in numbers])
        return [self._read(each) for each in found]

    def redis_many_typed(self, numbers: list[int]) -> list[Any]:
        found: Any = self._client.mget([f"floor:article:{number}" for number in numbers])
        return [self._validate(each) for each in found]
