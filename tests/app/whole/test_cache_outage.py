"""Readers of the whole application notice nothing of a Redis that is killed, or frozen.

The short form of what `make chaos ARGS="cache --part outage"` holds against the clock.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from app.article.index import ARTICLE
from app.core.config import Settings
from strongback.config import Environment
from strongback.search import Search
from strongback.testing.redis import RedisServer
from tests.live import LiveServer, serving
from tests.support.api import API
from tests.support.cache import eventually
from tests.support.load import Ask, under_load

RATE = 50
AWAY = 3.0
"""Seconds; the client of Redis gives up long before."""


@contextmanager
def killed(redis: RedisServer) -> Iterator[None]:
    redis.kill()
    try:
        yield
    finally:
        redis.start()


@pytest.fixture
def server(redis_server: RedisServer, tmp_path: Path) -> Iterator[LiveServer]:
    variables = {"REDIS_URL": redis_server.url, "WEB_RATE_LIMITS": "false", "WEB_THREADS": "16"}
    with serving(tmp_path, **variables) as server:
        api = API(Settings(_env_file=None, app_env=Environment.TEST, app_var_dir=tmp_path))
        api.fill()
        for number in range(20):
            api.article(title=f"Tea {number}")
        api.app.services[Search].reindex(ARTICLE.name)
        api.close()
        yield server


def test_readers_get_no_error_and_redis_is_used_again(
    server: LiveServer, redis_server: RedisServer
) -> None:
    outages: list[Callable[[RedisServer], AbstractContextManager[None]]] = [
        killed,
        RedisServer.frozen,
    ]
    asks = [Ask(f"/api/v1/articles/tea-{number}") for number in range(20)]
    asks += [Ask("/api/v1/articles"), Ask("/api/v1/articles/tea-1/comments")]
    asks += [Ask("/api/v1/users/ada"), Ask("/api/v1/tags"), Ask("/api/v1/search?q=tea")]

    def is_shared() -> bool:
        return any(name.startswith("cache:article:") for name, _ in redis_server.lifetimes())

    for away in outages:
        with under_load(server.port, asks, clients=len(asks), rate=RATE) as load:
            time.sleep(1)
            with away(redis_server):
                time.sleep(AWAY)
            redis_server.flush()
            assert eventually(is_shared), f"values go to Redis again, once {away.__name__}"

        assert set(load.statuses) == {200}, away.__name__
        assert sum(load.statuses.values()) > RATE * AWAY / 2
