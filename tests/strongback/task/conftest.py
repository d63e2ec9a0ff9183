from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.core.config import Settings
from strongback.config import Environment
from strongback.database import Base, Database
from tests.conftest import empty
from tests.support.redis import RedisServer
from tests.support.task import House
from tests.support.worker import World

VISIBILITY = 4
"""Seconds; just above the limit of the slowest task of `task_app`."""


@pytest.fixture
def house(database: Database) -> House:
    """Outbox, registry, jobs and runner on each back end."""
    return House(database)


@pytest.fixture
def world(
    settings: Settings, database_url: str, redis_server: RedisServer, tmp_path: Path
) -> Iterator[World]:
    """A database of each kind and a Redis; nothing is sent before the test starts it."""
    values = {
        "database_url": database_url,
        "celery_broker_url": redis_server.url,
        "task_visibility_timeout": VISIBILITY,
        "task_stop_timeout": 5,
    }
    world = World(settings.model_copy(update=values), tmp_path)
    empty(world.database, Base.metadata)
    yield world
    world.close()


@pytest.fixture(scope="module", params=["prefork", "threads"])
def served(
    request: pytest.FixtureRequest,
    running_redis: RedisServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[World]:
    """SQLite, Redis and a worker of each kind, the same one for all tests of a module."""
    folder = tmp_path_factory.mktemp("served")
    settings = Settings(
        _env_file=None,
        app_env=Environment.TEST,
        app_var_dir=folder,
        celery_broker_url=running_redis.url,
        task_visibility_timeout=VISIBILITY,
    )
    running_redis.flush()
    world = World(settings, folder)
    with world.worker("-P", request.param) as world.celery:
        world.process.start()
        yield world
    world.close()
