"""Applications for tests: the whole one on a test's database, and a bare one for probe routes.

A folder's `conftest.py` imports the fixtures that its tests ask for.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import structlog
from flask.testing import FlaskClient
from sqlalchemy import event

from app.core.config import Settings
from app.core.permission import Role
from app.main import create_app
from app.user.service import UserService
from strongback.app import Strongback
from strongback.database import Base, Database
from strongback.log.setup import configure_logging
from strongback.testing import empty
from strongback.web.http_app import HTTPApp
from tests.support.kept import Kept, reset
from tests.support.log import reset_log

LIMIT = re.compile(
    r"SET STATEMENT max_statement_time=[0-9.]+ FOR |/\*\+ MAX_EXECUTION_TIME\(\d+\) \*/"
)
"""What MariaDB and MySQL are told of how long a statement of a request may take."""


@dataclass(frozen=True)
class Logs:
    """What the application has logged, event by event."""

    folder: Path

    @property
    def access(self) -> list[dict[str, Any]]:
        """One event for each request."""
        return self._read("access.log")

    @property
    def error(self) -> list[dict[str, Any]]:
        """Everything else."""
        return self._read("error.log")

    def named(self, event: str) -> list[dict[str, Any]]:
        """The events of the error stream that have this name."""
        return [entry for entry in self.error if entry["event"] == event]

    def _read(self, name: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / name).read_text().splitlines()]


@pytest.fixture
def logs(settings: Settings) -> Iterator[Logs]:
    """The logs of the application under test; the loggers are left as they were."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    hooks = sys.excepthook, threading.excepthook
    folder = settings.app_var_dir / "log"
    configure_logging(settings.model_copy(update={"log_dir": folder}))
    yield Logs(folder)
    root.handlers[:], root.level = handlers, level
    sys.excepthook, threading.excepthook = hooks
    logging.captureWarnings(capture=False)
    structlog.contextvars.clear_contextvars()
    reset_log()


@pytest.fixture
def bare(settings: Settings, logs: Logs) -> HTTPApp:
    """An application without slices: the test declares its own routes on it."""
    return HTTPApp("bare", settings, title="Bare", version="1.0")


@pytest.fixture
def app(settings: Settings, database: Database, database_url: str, logs: Logs) -> Iterator[HTTPApp]:
    """The whole application, once on each back end, its tables empty."""
    yield from _running(settings, database_url, logs)


@pytest.fixture
def shared_app(kept: Kept, settings: Settings, database_url: str) -> Strongback:
    """As `app`, of all tests of a module; a test that reads its `logs` asks for them after it."""
    app = kept.get(create_app, settings, database_url)
    reset(app)
    return app


@pytest.fixture
def small_app(settings: Settings, logs: Logs) -> Iterator[HTTPApp]:
    """The whole application on SQLite alone, for what no back end has a say in."""
    for app in _running(settings, None, logs):
        empty(app.services[Database], Base.metadata)
        yield app


def _running(settings: Settings, address: str | None, logs: Logs) -> Iterator[HTTPApp]:
    changes = {"database_url": address, "log_dir": logs.folder}
    app = create_app(settings.model_copy(update=changes))
    yield app
    app.close()


@pytest.fixture
def client(app: HTTPApp) -> FlaskClient:
    """A client of the whole application."""
    return app.test_client()


@dataclass(frozen=True)
class Library:
    """Writes accounts by the services themselves, and runs commands."""

    app: HTTPApp

    @property
    def database(self) -> Database:
        database: Database = self.app.services[Database]
        return database

    def add_user(self, name: str = "ada", *roles: Role) -> None:
        with self.database.scope():
            self.app.services[UserService].create(name, None, roles or [Role.AUTHOR])

    def run(self, *arguments: str) -> tuple[int, str]:
        """Run a command as a shell would; returns its exit status and everything it printed."""
        with self.app.app_context():
            self.app.extensions["alembic"].stamp()  # commands insist on a migrated database
        result = self.app.test_cli_runner().invoke(args=list(arguments))
        return result.exit_code, result.output


@pytest.fixture
def library(app: HTTPApp) -> Library:
    """What the whole application has in its database."""
    return Library(app)


@pytest.fixture
def statements(app: HTTPApp) -> list[str]:
    """The SQL that the application runs, in order, as it comes."""
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statement = LIMIT.sub("", statement)
        if statement.lstrip().upper().startswith(("SELECT", "INSERT", "UPDATE", "DELETE")):
            seen.append(statement)

    event.listen(app.services[Database].engine, "before_cursor_execute", note)
    return seen
