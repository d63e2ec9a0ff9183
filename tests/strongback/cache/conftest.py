"""Storages of every kind, and a source that counts how often it is asked."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
import redis

from strongback.cache import LocalStorage, Manager, RedisStorage
from strongback.redis.client import RedisClient
from tests.support.cache import Clock, Process, Source
from tests.support.port import free_port
from tests.support.redis import RedisServer, run_redis


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def client(redis_server: RedisServer) -> Iterator[RedisClient]:
    client = RedisClient(redis_server.url, connections=12)
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


@pytest.fixture(scope="session")
def cluster(starts_redis: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A cluster of one server, which owns all slots."""
    # By default its bus listens 10,000 above the port, where there is not always one.
    options = ["--cluster-enabled", "yes", "--cluster-port", str(free_port())]
    with run_redis(tmp_path_factory.mktemp("cluster"), *options) as server:
        with redis.Redis.from_url(server.url) as client:
            client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
            deadline = time.monotonic() + 60
            while b"cluster_state:ok" not in client.execute_command("CLUSTER", "INFO"):
                assert time.monotonic() < deadline
                time.sleep(0.02)
        yield server
