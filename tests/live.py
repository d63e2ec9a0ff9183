"""The application in a real server on a private port."""

from __future__ import annotations

import http.client
import os
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import cache
from multiprocessing.process import BaseProcess
from pathlib import Path

from app.core.config import load_settings
from app.core.permission import Role
from app.main import create_app
from app.user.service import UserService
from strongback.migration.runner import upgrade
from strongback.testing.port import free_port
from tests.support.process import start_module

DEADLINE = 60
PASSWORD = "correct horse battery staple"
REFERENCE = "app.main:create_app"
NO_SOCKETS = {"CENTRIFUGO_URL": "http://127.0.0.1:9", "CENTRIFUGO_API_KEY": "unused"}
"""Settings of several processes without Redis: their WebSockets are somebody else's."""


@dataclass(frozen=True)
class LiveServer:
    """A running Gunicorn and the file of everything that it printed."""

    port: int
    log: Path
    pid: int = 0
    """Process, and group of all its processes."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def status(self, path: str) -> int | None:
        """The status of an answer, or None while nobody answers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        except OSError:
            return None
        finally:
            connection.close()


@contextmanager
def serving(
    folder: Path, log: Path | None = None, /, *, application: str = REFERENCE, **variables: str
) -> Iterator[LiveServer]:
    """Migrate a database in the folder, and run a server on it until the block ends.

    Args:
        folder: Folder of the database.
        log: File of what it prints.
        application: `module:factory`, of which the reference application has the tables.
        variables: Its environment.
    """
    server = LiveServer(free_port(), log or folder / "server.log")
    environment = os.environ | {
        "APP_ENV": "test",
        "APP_VAR_DIR": str(folder),
        "WEB_PORT": str(server.port),
        "LOG_FORMAT": "json",
        **variables,
    }
    migrate(folder, variables)
    arguments = ["strongback.server.serve", application]
    process = start_module(arguments, environment, server.log)
    assert process.pid is not None
    server = replace(server, pid=process.pid)
    try:
        _wait(server, process)
        yield server
    finally:
        process.terminate()
        process.join(DEADLINE)
        assert process.exitcode is not None, f"it still runs: {server.log.read_text()}"


def create_user(folder: Path, name: str, role: Role) -> None:
    """Make an account as `flask user create` does, in the database of a folder."""
    app = create_app(load_settings(app_env="test", app_var_dir=folder))
    with closing(app), app.database.scope():
        app.services[UserService].create(name, PASSWORD, [role])


def migrate(folder: Path, variables: dict[str, str]) -> None:
    """Make the tables in the folder's database, or in the one that the variables name."""
    database = folder / "app.db"
    address = {
        name.lower(): value
        for name, value in variables.items()
        if name.startswith(("DATABASE_", "MYSQL_"))
    }
    if address:
        _upgrade(folder, **address)
    elif not database.exists():
        database.write_bytes(_migrated())


def _upgrade(folder: Path, **settings: str) -> None:
    app = create_app(load_settings(app_env="test", app_var_dir=folder, **settings))
    with closing(app):
        upgrade(app)


@cache
def _migrated() -> bytes:
    """A SQLite file with all tables, made once for all servers of a test process."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _upgrade(folder)
        with closing(sqlite3.connect(folder / "app.db")) as database:
            return database.serialize()


def _wait(server: LiveServer, process: BaseProcess) -> None:
    deadline = time.monotonic() + DEADLINE
    while server.status("/readyz") != 200:
        assert process.is_alive(), server.log.read_text()
        assert time.monotonic() < deadline, server.log.read_text()
        time.sleep(0.05)
