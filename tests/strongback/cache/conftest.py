"""Storages of every kind, and a source that counts how often it is asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from strongback.cache import LocalStorage, Manager, RedisStorage
from strongback.redis.client import RedisClient, connect
from strongback.testing.redis import RedisServer
from tests.support.cache import Clock, Process, Source


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def client(redis_server: RedisServer) -> Iterator[RedisClient]:
    client = RedisClient(connect(redis_server.url, connections=12))
    yield client
    client.close()


@pytest.fixture
def remote(client: RedisClient) -> Iterator[RedisStorage]:
    storage = RedisStorage(client)
    yield storage
    storage.close()


@pytest.fixture
def processes(redis_server: RedisServer) -> Iterator[Callable[[], Process]]:
    """Makes as many as a test wants."""
    made: list[Process] = []

    def make() -> Process:
        made.append(Process(redis_server.url))
        return made[-1]

    yield make
    for process in made:
        process.close()


@pytest.fixture
def local_cache(clock: Clock) -> Manager:
    cache = Manager()
    cache.register_storage("local", LocalStorage(1000, clock=clock))
    return cache
