"""The application in a real server on a private port."""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from app.core.config import ROOT
from strongback.testing.port import free_port

DEADLINE = 60
NO_SOCKETS = {"CENTRIFUGO_URL": "http://127.0.0.1:9", "CENTRIFUGO_API_KEY": "unused"}
"""Settings of several processes without Redis: their WebSockets are somebody else's."""


@dataclass(frozen=True)
class LiveServer:
    """A running Gunicorn and the file of everything that it printed."""

    port: int
    log: Path

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
    folder: Path, log: Path | None = None, /, *, application: str = "", **variables: str
) -> Iterator[LiveServer]:
    """Migrate a database in the folder, and run `flask serve` on it until the block ends.

    Args:
        folder: Folder of the database.
        log: File of what it prints.
        application: `module:factory`, if it is not the reference application itself.
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
    flask = [sys.executable, "-m", "flask", "--app", "app.main"]
    subprocess.run([*flask, "db", "upgrade"], env=environment, cwd=ROOT, check=True)
    with server.log.open("wb") as output:
        process = subprocess.Popen(
            (
                [sys.executable, "-m", "strongback.server.serve", application]
                if application
                else [*flask, "serve"]
            ),
            env=environment,
            cwd=ROOT,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        _wait(server, process)
        yield server
    finally:
        process.terminate()
        process.wait(DEADLINE)


def _wait(server: LiveServer, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + DEADLINE
    while server.status("/readyz") != 200:
        assert process.poll() is None, server.log.read_text()
        assert time.monotonic() < deadline, server.log.read_text()
        time.sleep(0.05)
