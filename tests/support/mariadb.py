"""A MariaDB server of the tests' own."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pymysql

SEARCH_PATH = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"))
START_TIMEOUT = 30
DATABASE = "groundwork_test"
# Nothing survives the tests, so nothing has to reach the disk.
OPTIONS = (
    "--bind-address=127.0.0.1",
    "--skip-name-resolve",
    "--skip-log-bin",
    "--innodb-buffer-pool-size=32M",
    "--innodb-flush-log-at-trx-commit=0",
    "--innodb-doublewrite=0",
    "--performance-schema=0",
)


def find_mariadb() -> str | None:
    """Return the server's binary, or `None` where it is not installed."""
    return shutil.which("mariadbd", path=SEARCH_PATH)


def free_port() -> int:
    """Return a port of the loopback address that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    return port


@dataclass(frozen=True)
class MariaDB:
    """A running server, its port, and means to trouble it."""

    port: int
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        """The SQLAlchemy address of the tests' database."""
        return f"mysql+pymysql://root@127.0.0.1:{self.port}/{DATABASE}"

    def execute(self, statement: str) -> list[tuple[Any, ...]]:
        """Run one statement on a connection of its own, as an administrator beside the tests."""
        with closing(self._connect()) as connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return list(cursor.fetchall())

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Stop the process in mid-air: its sockets stay open and answer nothing."""
        self.process.send_signal(signal.SIGSTOP)
        os.waitpid(self.process.pid, os.WUNTRACED)  # its threads stop one after the other
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def _connect(self) -> pymysql.Connection[Any]:
        return pymysql.connect(host="127.0.0.1", port=self.port, user="root", autocommit=True)

    def _wait(self, log: Path) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        while True:
            try:
                self.execute(f"CREATE DATABASE IF NOT EXISTS {DATABASE}")
            except pymysql.err.OperationalError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"MariaDB did not start:\n{log.read_text()}") from None
                time.sleep(0.02)
            else:
                return


@contextmanager
def run_mariadb(folder: Path) -> Iterator[MariaDB]:
    """Start a server that keeps everything in the folder, and stop it by its own id."""
    binary = find_mariadb()
    assert binary is not None
    data, log = folder / "data", folder / "mariadb.log"
    user = ["--user=root"] if os.geteuid() == 0 else []
    _install(data, user)
    port = free_port()
    places = [f"--datadir={data}", f"--socket={folder / 's'}", f"--pid-file={folder / 'pid'}"]
    command = [binary, "--no-defaults", *user, *places, f"--port={port}", *OPTIONS]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        server = MariaDB(port, process)
        server._wait(log)
        yield server
    finally:
        process.kill()  # the data is thrown away, so a clean shutdown would be lost time
        process.wait()


def _install(data: Path, user: list[str]) -> None:
    installer = shutil.which("mariadb-install-db", path=SEARCH_PATH)
    assert installer is not None, "mariadb-install-db comes with mariadbd and is missing"
    login = ["--auth-root-authentication-method=normal", "--skip-test-db"]
    command = [installer, "--no-defaults", *user, f"--datadir={data}", *login]
    subprocess.run(command, check=True, capture_output=True)
