from __future__ import annotations

from collections.abc import Iterator

import pytest

from strongback.config import Settings
from strongback.database import (
    Database,
)
from strongback.testing import empty
from strongback.testing.mariadb import MariaDB
from tests.support.account import AccountService, Sandbox

THREADS = 8


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Time-outs that a test may wait for."""
    return settings.model_copy(update={"database_timeout": 2, "database_query_timeout": 2})


@pytest.fixture
def database(database: Database) -> Database:
    empty(database, Sandbox.metadata)
    return database


@pytest.fixture
def service(database: Database) -> AccountService:
    return AccountService(database)


@pytest.fixture
def mysql(settings: Settings, mariadb_server: MariaDB) -> Iterator[Database]:
    """A database on MariaDB alone, for what SQLite has not."""
    database = Database(settings.model_copy(update={"database_url": mariadb_server.url}))
    empty(database, Sandbox.metadata)
    yield database
    database.close()
