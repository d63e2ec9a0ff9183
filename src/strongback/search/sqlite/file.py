"""The file that the SQLite engine keeps its indexes in, shared by threads and processes."""

from __future__ import annotations

import os
import secrets
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from strongback.log.setup import get_logger
from strongback.private import make_private_file
from strongback.search.exceptions import SearchUnavailable

log = get_logger(__name__)

PATIENCE = 5.0
"""Seconds to wait for another process that writes."""
READ_LIMIT = 5.0
"""Seconds after which a search is given up."""
INSTRUCTIONS_PER_CHECK = 100_000  # SQLite runs them in about a millisecond
KEPT = 4
"""Connections that are kept while nobody uses them."""
Identity = tuple[int, int] | None
"""Device and number of a file, if there is one."""
CATALOGUE = """
CREATE TABLE IF NOT EXISTS generation (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    is_live INTEGER NOT NULL,
    structure TEXT NOT NULL,
    UNIQUE (name, is_live)
)
"""
"""Each index has a live generation, and a second one while it is built anew."""
HAS_CATALOGUE = "SELECT 1 FROM sqlite_schema WHERE name = 'generation'"


class SearchFile:
    """Connections to the file. Readers never wait; writers wait for one another.

    Args:
        path: Where; the file and its folder are made when they are missing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._writer = threading.Lock()
        self._guard = threading.Lock()
        self._idle: list[tuple[sqlite3.Connection, Identity]] = []
        self._process = os.getpid()
        self._inherited: list[sqlite3.Connection] = []

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """See one state of the file for the whole block.

        Raises:
            SearchUnavailable: The file cannot be read, or the block took too long.
        """
        with self._connection() as connection:
            deadline = time.monotonic() + READ_LIMIT
            connection.set_progress_handler(
                lambda: time.monotonic() > deadline, INSTRUCTIONS_PER_CHECK
            )
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                connection.rollback()  # unless an error has done so already
                connection.set_progress_handler(None, 0)

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """Change the file in one transaction; nothing is changed if the block raises.

        Raises:
            SearchUnavailable: Another process writes for too long, or the file cannot be written.
        """
        with self._turn(), self._connection() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                self._count(connection)
                connection.execute("COMMIT")
            except BaseException:
                connection.rollback()
                raise

    @staticmethod
    def _count(connection: sqlite3.Connection) -> None:
        """Count the transactions, so that whoever remembers something knows whether it is so."""
        (state,) = connection.execute("PRAGMA user_version").fetchone()
        connection.execute(f"PRAGMA user_version = {(state + 1) % 2**31}")

    def size(self) -> int:
        """Bytes that it takes on disk."""
        return sum(file.stat().st_size for file in self._files if file.exists())

    @property
    def is_suspect(self) -> bool:
        """Whether any process has met damage since the file was last looked through."""
        return self._suspicion.exists()

    def discard_if_damaged(self) -> None:
        """Delete the file if it cannot be read to its end; the next use makes an empty one."""
        self.close()  # an open connection remembers pages that the file does not have any more
        try:
            with self._connection() as connection:
                (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        except SearchUnavailable as error:
            if not error.is_damage:
                raise
            verdict = str(error.__cause__)
        self._suspicion.unlink(missing_ok=True)
        if verdict == "ok":
            return
        log.error("search_file_discarded", path=str(self.path), reason=verdict)
        self.close()
        for file in self._files:
            file.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the connections that are not in use."""
        with self._guard:
            idle, self._idle = self._idle, []
        for connection, _ in idle:
            connection.close()

    @property
    def _suspicion(self) -> Path:
        return self.path.with_name(f"{self.path.name}-damaged")

    @property
    def _files(self) -> list[Path]:
        return [self.path.with_name(f"{self.path.name}{end}") for end in ("", "-wal", "-shm")]

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if not self._writer.acquire(timeout=PATIENCE):
            raise SearchUnavailable
        try:
            yield
        finally:
            self._writer.release()

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        try:
            connection, identity = self._take()
            try:
                yield connection
            except BaseException:
                connection.close()
                raise
            self._give_back(connection, identity)
        except (sqlite3.Error, OSError) as error:
            log.warning("search_file_failed", error=type(error).__name__, reason=str(error))
            is_damage = _is_damage(error)
            if is_damage:  # whoever looks after the index may be another process
                with suppress(OSError):
                    self._suspicion.touch()
            raise SearchUnavailable(is_damage=is_damage) from error

    def _take(self) -> tuple[sqlite3.Connection, Identity]:
        identity = self._identity()
        with self._guard:
            if self._process != os.getpid():
                # The parent's: to use them would corrupt the file, to close them would unlock it.
                self._inherited += [connection for connection, _ in self._idle]
                self._idle, self._process = [], os.getpid()
            while self._idle:
                connection, opened = self._idle.pop()
                if opened == identity:
                    return connection, identity
                # Somebody has deleted or replaced the file; this would go on with the old one.
                connection.close()
        return self._open(), self._identity()

    def _give_back(self, connection: sqlite3.Connection, identity: Identity) -> None:
        with self._guard:
            if len(self._idle) < KEPT:
                self._idle.append((connection, identity))
                return
        connection.close()

    def _identity(self) -> Identity:
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return None
        return found.st_dev, found.st_ino

    def _open(self) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        make_private_file(self.path)
        connection = sqlite3.connect(
            self.path, timeout=PATIENCE, isolation_level=None, check_same_thread=False
        )
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("PRAGMA cache_size = -4000")
            connection.execute("PRAGMA secure_delete = FAST")
            if not connection.execute(HAS_CATALOGUE).fetchone():
                connection.execute(CATALOGUE)
                # A new file counts from anywhere: it is not to be taken for the one before.
                connection.execute(f"PRAGMA user_version = {secrets.randbelow(2**31)}")
        except BaseException:
            connection.close()
            raise
        return connection


def _is_damage(error: Exception) -> bool:
    # The lower byte is the kind of error, the rest says more of it.
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_ERROR:  # a table that somebody has dropped, or made otherwise
        return str(error).startswith(("no such table", "no such column"))
    return code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
