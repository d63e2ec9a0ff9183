"""The application in a real server on a private port."""

from __future__ import annotations

import http.client
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from app.core.config import ROOT
from strongback.testing.port import free_port

DEADLINE = 60
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
    _migrate(folder, environment)
    with server.log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "strongback.server.serve", application],
            env=environment,
            cwd=ROOT,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    server = replace(server, pid=process.pid)
    try:
        _wait(server, process)
        yield server
    finally:
        process.terminate()
        process.wait(DEADLINE)


def _migrate(folder: Path, environment: dict[str, str]) -> None:
    database = folder / "app.db"
    if {"DATABASE_URL", "MYSQL_HOST"} & environment.keys() or database.exists():
        _upgrade(environment)
    else:
        database.write_bytes(_migrated())


def _upgrade(environment: dict[str, str]) -> None:
    command = [sys.executable, "-m", "flask", "--app", "app.main", "db", "upgrade"]
    subprocess.run(command, env=environment, cwd=ROOT, check=True)


@cache
def _migrated() -> bytes:
    """A SQLite file with all tables, made once for all servers of a test process."""
    with tempfile.TemporaryDirectory() as folder:
        _upgrade(os.environ | {"APP_VAR_DIR": folder})
        with closing(sqlite3.connect(Path(folder) / "app.db")) as database:
            return database.serialize()


def _wait(server: LiveServer, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + DEADLINE
    while server.status("/readyz") != 200:
        assert process.poll() is None, server.log.read_text()
        assert time.monotonic() < deadline, server.log.read_text()
        time.sleep(0.05)
