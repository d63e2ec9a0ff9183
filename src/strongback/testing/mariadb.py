"""MariaDB of the tests' own, or a MySQL server that they are given.

One server serves all processes of a test run, each in a database of its own. Tests that stop or
freeze a server have one for their module.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pymysql
import pytest
from sqlalchemy import URL, make_url

from strongback.testing.port import free_port
from strongback.testing.shared import shared

SEARCH_PATH = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"))
START_TIMEOUT = 60
DATABASE = "strongback_test"
# Nothing survives the tests, so nothing has to reach the disk: it takes most of a table's making.
NO_SYNC = "--debug-no-sync"
OPTIONS = (
    "--bind-address=127.0.0.1",
    "--skip-name-resolve",
    "--skip-log-bin",
    "--innodb-buffer-pool-size=32M",
    NO_SYNC,
    "--innodb-flush-log-at-trx-commit=0",
    "--innodb-doublewrite=0",
    "--performance-schema=0",
)
# The driver would read all authorities that the machine trusts, 30 ms for each connection.
UNENCRYPTED = {"ssl_mode": "disabled"}


def find_mariadb() -> str | None:
    """Return the server's binary, or `None` where it is not installed."""
    return shutil.which("mariadbd", path=SEARCH_PATH)


def require_mariadb() -> None:
    """Skip the test where there is no server to be started."""
    if find_mariadb() is None:
        pytest.skip("mariadbd is not installed: the MySQL half of this test did not run")


@pytest.fixture(scope="session")
def starts_mariadb(starts_processes: None) -> None:
    """Let the test start a MariaDB of its own by `run_mariadb`, where it is installed."""
    require_mariadb()


@dataclass
class MariaDB:
    """A running MariaDB or MySQL."""

    address: URL
    """How an administrator signs in; names the tests' database."""

    @property
    def url(self) -> str:
        """The SQLAlchemy address of the tests' database."""
        return self.address.render_as_string(hide_password=False)

    def execute(self, statement: str) -> list[tuple[Any, ...]]:
        """Run one statement on a connection of its own, as an administrator beside the tests."""
        with closing(self.connect()) as connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return list(cursor.fetchall())

    def connect(self) -> pymysql.Connection[Any]:
        """Open a connection beside the tests', to no database."""
        return pymysql.connect(
            host=self.address.host or "127.0.0.1",
            port=self.address.port or 3306,
            user=self.address.username,
            password=self.address.password or "",
            autocommit=True,
            ssl_disabled=self.address.query == UNENCRYPTED,
        )

    def create_database(self) -> None:
        """Make the tests' database, if it is not there already."""
        self.execute(f"CREATE DATABASE IF NOT EXISTS {self.address.database}")


def _state(task: Path) -> str:
    return (task / "stat").read_text().rpartition(")")[2].split()[0]


class OwnMariaDB(MariaDB):
    """A server that the tests have started themselves, and means to trouble it.

    Args:
        folder: Keeps everything that the server writes.
        options: The server's.
        keeper: What the command begins with; the process that it starts is the server's parent.
    """

    def __init__(self, folder: Path, *options: str, keeper: Sequence[str] = ()) -> None:
        binary = find_mariadb()
        assert binary is not None
        user = ["--user=root"] if os.geteuid() == 0 else []
        data, self.log = folder / "data", folder / "mariadb.log"
        # A server that starts deletes what other servers keep in its folder of temporary tables.
        self.environment = {**os.environ, "TMPDIR": str(folder)}
        _install(data, user, self.environment)
        port = free_port()
        places = [f"--datadir={data}", f"--socket={folder / 's'}", f"--pid-file={folder / 'pid'}"]
        self.command = [
            *keeper,
            binary,
            "--no-defaults",
            *user,
            *places,
            f"--port={port}",
            *OPTIONS,
        ]
        self.command += options
        self.process: subprocess.Popen[bytes] | None = None
        query = {} if any(option.startswith("--ssl") for option in options) else UNENCRYPTED
        super().__init__(
            URL.create("mysql+pymysql", "root", None, "127.0.0.1", port, DATABASE, query)
        )

    def start(self) -> subprocess.Popen[bytes]:
        """Start it, wait until it answers, and return its process."""
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                self.command,
                stdout=output,
                stderr=output,
                env=self.environment,
                start_new_session=True,  # Ctrl-C is for the tests, which end it
            )
        deadline = time.monotonic() + START_TIMEOUT
        while True:
            try:
                self.create_database()
            except pymysql.err.OperationalError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    text = self.log.read_text()
                    raise RuntimeError(f"MariaDB did not start:\n{text}") from None
                time.sleep(0.02)
            else:
                return self.process

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Stop the process in mid-air: its sockets stay open and answer nothing."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        threads = Path(f"/proc/{self.process.pid}/task")
        while any(_state(thread) != "T" for thread in threads.iterdir()):
            time.sleep(0.001)  # they stop one after the other
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """End it at once: a clean shutdown would be lost time."""
        if self.process:
            self.process.kill()
            self.process.wait()


@contextmanager
def run_mariadb(folder: Path, *options: str) -> Iterator[OwnMariaDB]:
    """Start a server that keeps everything in the folder, and stop it by its own id."""
    server = OwnMariaDB(folder, *options)
    try:
        server.start()
        yield server
    finally:
        server.stop()


def given_mysql() -> MariaDB | None:
    """The server of TEST_MYSQL_URL, with a database of this test process's own.

    `TEST_MYSQL_URL=mysql+pymysql://root:password@127.0.0.1:3306` names an administrator.
    """
    url = os.environ.get("TEST_MYSQL_URL")
    return _database_on(url) if url else None


def shared_mariadb(folder: Path) -> MariaDB:
    """The server of the whole test run, with a database of this test process's own."""

    def start(place: Path, keeper: Sequence[str]) -> tuple[str, subprocess.Popen[bytes]]:
        server = OwnMariaDB(place, keeper=keeper)
        return server.url, server.start()

    return _database_on(shared(folder / "mariadb", start))


def _database_on(address: str) -> MariaDB:
    database = f"{DATABASE}_{os.environ.get('PYTEST_XDIST_WORKER', 'main')}"
    server = MariaDB(make_url(address).set(database=database))
    server.create_database()
    return server


def _install(data: Path, user: list[str], environment: dict[str, str]) -> None:
    installer = shutil.which("mariadb-install-db", path=SEARCH_PATH)
    assert installer is not None, "mariadb-install-db comes with mariadbd and is missing"
    login = ["--auth-root-authentication-method=normal", "--skip-test-db", NO_SYNC]
    command = [installer, "--no-defaults", *user, f"--datadir={data}", *login]
    subprocess.run(command, check=True, capture_output=True, env=environment)


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
