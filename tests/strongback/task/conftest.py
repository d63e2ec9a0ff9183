from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, nullcontext
from pathlib import Path

import pytest

from strongback.config import Environment, Settings
from strongback.database import Base, Database
from strongback.testing import empty
from strongback.testing.redis import RedisServer, run_redis
from tests.support.task import TaskHarness
from tests.support.worker import WorkerHarness

VISIBILITY = 4
"""Seconds; just above the limit of the slowest task of `task_app`."""


@pytest.fixture
def tasks(database: Database) -> TaskHarness:
    """Outbox, registry, jobs and runner on each back end."""
    return TaskHarness(database)


def open_workers(
    settings: Settings, database_url: str, broker: RedisServer | None, folder: Path
) -> Iterator[WorkerHarness]:
    """Workers; nothing is sent before the test starts it."""
    values = {
        "database_url": database_url,
        "celery_broker_url": broker and broker.url,
        "task_visibility_timeout": VISIBILITY,
        "task_stop_timeout": 5,
    }
    with closing(WorkerHarness(settings.model_copy(update=values), folder)) as workers:
        empty(workers.database, Base.metadata)
        yield workers


@pytest.fixture
def embedded(settings: Settings, database_url: str, tmp_path: Path) -> Iterator[WorkerHarness]:
    """A database of each kind, and no broker."""
    yield from open_workers(settings, database_url, None, tmp_path)


@pytest.fixture
def workers(
    settings: Settings, database_url: str, redis_server: RedisServer, tmp_path: Path
) -> Iterator[WorkerHarness]:
    """A database of each kind and a Redis."""
    yield from open_workers(settings, database_url, redis_server, tmp_path)


@pytest.fixture(params=["embedded", pytest.param("redis_server", id="celery")])
def either(
    request: pytest.FixtureRequest,
    settings: Settings,
    database_url: str,
    starts_processes: None,
    tmp_path: Path,
) -> Iterator[WorkerHarness]:
    """A database of each kind, without a broker and with one."""
    broker = None if request.param == "embedded" else request.getfixturevalue(request.param)
    yield from open_workers(settings, database_url, broker, tmp_path)


@pytest.fixture(scope="module", params=["embedded", "prefork", "threads"])
def served(
    request: pytest.FixtureRequest,
    starts_redis: None,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[WorkerHarness]:
    """SQLite and a worker of each kind, the same one for all tests of a module.

    The broker is theirs as well: other tests empty and kill that of the process.
    """
    folder = tmp_path_factory.mktemp("served")
    with nullcontext() if request.param == "embedded" else run_redis(folder) as broker:
        yield from _served(request.param, broker, folder)


def _served(kind: str, broker: RedisServer | None, folder: Path) -> Iterator[WorkerHarness]:
    settings = Settings(
        _env_file=None,
        app_env=Environment.TEST,
        app_var_dir=folder,
        celery_broker_url=broker.url if broker else None,
        task_visibility_timeout=VISIBILITY,
    )
    options = () if broker is None else ("-P", kind)
    with closing(WorkerHarness(settings, folder)) as workers, workers.worker(*options) as worker:
        workers.served_by = worker
        workers.start()
        yield workers
