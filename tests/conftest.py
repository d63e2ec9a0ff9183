"""Fixtures that every test may ask for."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
import structlog
from sqlalchemy import MetaData, create_engine, inspect, text

from app.core.config import Settings
from strongback.config import Environment
from strongback.database import Base, Database
from tests.support.api import API
from tests.support.browser import browser
from tests.support.front import nginx
from tests.support.mariadb import (
    MariaDB,
    OwnMariaDB,
    given_mysql,
    require_mariadb,
    run_mariadb,
    shared_mariadb,
    starts_mariadb,
)
from tests.support.meilisearch_server import HEADER
from tests.support.process import add_marks, gate, is_long, names, starts_processes
from tests.support.redis import redis_server, running_redis, starts_redis
from tests.support.shared import run_folder

__all__ = [
    "browser",
    "is_long",
    "nginx",
    "redis_server",
    "run_folder",
    "running_redis",
    "starts_mariadb",
    "starts_processes",
    "starts_redis",
]


def pytest_configure() -> None:
    gate.watch()


def pytest_report_header() -> str:
    """Say what is not there to be tested."""
    return HEADER


@pytest.hookimpl(tryfirst=True)  # the marks are there before -m chooses by them
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    add_marks(items)
    if "TEST_MYSQL_URL" not in os.environ:
        left_out = {item for item in items if _repeats_on_mysql(item)}
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=list(left_out))


def _repeats_on_mysql(item: pytest.Item) -> bool:
    """Whether the test is one of SQLite, once more on MariaDB, that has nothing to say of it."""
    return "mariadb_server" in names(item) and item.get_closest_marker("speaks_sql") is None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None]:
    with gate.running(item):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    with gate.running(item):
        return (yield)


@pytest.fixture(autouse=True)
def _unbound_context() -> None:
    """A request leaves its id bound until the thread's next one; a test must not find it."""
    structlog.contextvars.clear_contextvars()


@pytest.fixture(scope="session", autouse=True)
def _environment() -> Iterator[None]:
    """Hide the developer's own settings: a test sees what it asks for and nothing else."""
    names = {name.lower() for name in Settings.model_fields}
    with pytest.MonkeyPatch.context() as patch:
        for variable in [name for name in os.environ if name.lower() in names]:
            patch.delenv(variable)
        yield


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of the embedded mode with a folder of its own; vary them by `model_copy`."""
    return Settings(
        _env_file=None,
        app_env=Environment.TEST,
        app_var_dir=tmp_path / "var",
        database_pool_size=4,
        database_timeout=30,  # a busy machine is no failure; the tests of time-outs set their own
        database_query_timeout=60,
        database_read_timeout=60,
    )


# Databases


@pytest.fixture(scope="session")
def mariadb_server(starts_processes: None, run_folder: Path) -> Iterator[MariaDB]:
    """A database of this process on the server of TEST_MYSQL_URL, or on the run's own."""
    if given := given_mysql():
        yield given
        given.execute(f"DROP DATABASE {given.address.database}")
        return
    require_mariadb()
    yield shared_mariadb(run_folder)


@pytest.fixture(scope="module")
def own_mariadb(
    starts_mariadb: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OwnMariaDB]:
    """A MariaDB of the module's own, for tests that stop or freeze it."""
    with run_mariadb(tmp_path_factory.mktemp("own")) as server:
        yield server


@pytest.fixture(params=["sqlite", pytest.param("mariadb_server", id="mariadb")])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of each back end in turn; the test runs once on each."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'test.db'}"
    server: MariaDB = request.getfixturevalue(request.param)
    return server.url


@pytest.fixture
def database(settings: Settings, database_url: str) -> Iterator[Database]:
    """A database on each back end, with the models' tables, empty."""
    database = Database(settings.model_copy(update={"database_url": database_url}))
    empty(database, Base.metadata)
    yield database
    database.close()


def empty(database: Database, metadata: MetaData) -> None:
    """Make the tables that are missing and delete what an earlier test has left."""
    engine = database.engine
    if engine.dialect.name == "sqlite" and not Path(engine.url.database or "").exists():
        _write_tables(Path(engine.url.database or ""), metadata)
        return
    there = set(inspect(engine).get_table_names())
    metadata.create_all(engine, [t for t in metadata.sorted_tables if t.name not in there])
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE IF EXISTS sb_version"))  # not by migrations
        for table in reversed(metadata.sorted_tables):
            if table.name in there:
                connection.execute(table.delete())


_files: dict[MetaData, bytes] = {}
"""SQLite files that have the tables and nothing in them: making one takes as long as many tests."""


def _write_tables(file: Path, metadata: MetaData) -> None:
    if metadata not in _files:
        engine = create_engine("sqlite://")
        metadata.create_all(engine)
        with engine.connect() as connection:
            raw = connection.connection.driver_connection
            assert isinstance(raw, sqlite3.Connection)
            _files[metadata] = raw.serialize()
        engine.dispose()
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(_files[metadata])


# Application


@pytest.fixture
def api(settings: Settings, database_url: str) -> Iterator[API]:
    """The application on each back end, with an account of each role and nothing else."""
    api = API(settings.model_copy(update={"database_url": database_url}))
    empty(api.database, Base.metadata)
    api.fill()
    yield api
    api.close()
