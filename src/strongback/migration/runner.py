"""Migrations: Flask-Alembic, `flask db …`, made safe for several processes at once."""

from __future__ import annotations

import logging
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import structlog
from alembic.runtime.migration import MigrationContext, MigrationInfo
from alembic.script.revision import ResolutionError
from flask_alembic import Alembic
from sqlalchemy import Connection, Engine, event, text
from sqlalchemy.exc import OperationalError

from strongback.database import Base, Database, UTCDateTime
from strongback.database.remedy import UNREACHABLE, remedy_for
from strongback.exceptions import StrongbackError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from alembic.autogenerate.api import AutogenContext
    from alembic.runtime.migration import MigrationStep
    from flask import Flask

log = structlog.get_logger(__name__)

TURN = 120
"""Seconds that a process waits for another one that migrates."""
APPLIED = "applied_revisions"
"""What a connection has applied and not checked yet."""
RETRY = 0.1
"""Seconds between two attempts to reach a server that is starting."""


class MigrationError(StrongbackError):
    """The schema could not be brought up to date; the message tells what to do."""


class Migrations(Alembic):
    """Flask-Alembic, one process at a time, whichever command or function runs it."""

    def __init__(self, database: Database, wait: float = 0) -> None:
        self.database = database
        self.wait = wait
        engine = database.migration_engine(TURN)
        if engine.dialect.name == "sqlite":
            event.listen(engine, "commit", _check_references)
        with _loggers_kept():
            super().__init__(run_mkdir=False, metadatas=Base.metadata, engines=engine)

    def run_migrations(
        self,
        fn: Callable[[str | list[str] | tuple[str, ...], MigrationContext], list[MigrationStep]],
        **kwargs: Any,  # noqa: ANN401  Flask-Alembic's signature
    ) -> None:
        """Run what `fn` chooses from the revisions, once it is this process's turn."""
        with _turn(self.engines["default"], self.wait):
            super().run_migrations(fn, **kwargs)


def init_migrations(app: Flask, database: Database, folder: Path, wait: float = 0) -> None:
    """Give the app its migrations and the commands `flask db …`.

    Args:
        app: The application.
        database: What to migrate.
        folder: Where `script.py.mako` and `versions` are.
        wait: Seconds to wait for a server that does not answer yet.
    """
    app.config["ALEMBIC"] = {
        "script_location": str(folder),
        "version_locations": [("default", str(folder / "versions"))],
    }
    app.config["ALEMBIC_CONTEXT"] = _context_options(
        is_sqlite=database.engine.dialect.name == "sqlite"
    )
    Migrations(database, wait).init_app(app)


def upgrade(app: Flask) -> None:
    """Bring the schema up to date; with nothing pending, do nothing.

    Raises:
        MigrationError: Another process has been migrating for `TURN` seconds.
    """
    with app.app_context():
        _migrations(app).upgrade()


def pending(app: Flask) -> list[str]:
    """Return the revisions that the database lacks, the next one first.

    A database ahead of this code lacks none: while a release rolls out, the old one serves on.
    """
    with app.app_context():
        migrations = _migrations(app)
        script = migrations.script_directory
        with migrations.database.latest() as session:
            heads = MigrationContext.configure(session.connection()).get_current_heads()
        try:
            revisions = list(script.iterate_revisions("heads", heads, implicit_base=True))
        except ResolutionError:
            return []
    return [revision.revision for revision in reversed(revisions)]


def _migrations(app: Flask) -> Migrations:
    migrations = app.extensions["alembic"]
    assert isinstance(migrations, Migrations)  # noqa: S101  for the type checker
    return migrations


def _context_options(*, is_sqlite: bool) -> dict[str, Any]:
    """Return the options of `EnvironmentContext.configure`.

    SQLite changes tables inside transactions, so that all revisions succeed or none. MySQL
    commits at each statement of that kind: there each revision is as atomic as it gets.
    """
    return {
        "compare_type": True,
        "render_as_batch": True,  # SQLite alters a table by making a new one
        "render_item": _render_item,
        "transactional_ddl": is_sqlite,
        "transaction_per_migration": not is_sqlite,
        "on_version_apply": _finish_revision,
    }


def _render_item(kind: str, item: object, context: AutogenContext) -> str | bool:
    """Write our types in SQLAlchemy's terms: an old revision must not depend on today's code."""
    if kind == "type" and isinstance(item, UTCDateTime):
        context.imports.add("from sqlalchemy.dialects import mysql")
        return 'sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql")'
    return False


def _finish_revision(*, ctx: MigrationContext, step: MigrationInfo, **_: object) -> None:
    if ctx.connection is not None:
        ctx.connection.info.setdefault(APPLIED, []).append(step.up_revision_id)
    log.info("migration_applied", revision=step.up_revision_id, upgrade=step.is_upgrade)


def _check_references(connection: Connection) -> None:
    """See that every row is left with what it refers to; called before a commit.

    SQLite does not check foreign keys while tables are rebuilt. It is made up for once, behind the
    last revision: it reads every row that refers to another, and nobody writes meanwhile.
    """
    if revisions := connection.info.pop(APPLIED, None):
        broken = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
        if broken is not None:
            names = ", ".join(map(str, revisions))
            msg = f"{names}: this leaves {broken[0]} with rows that refer to no {broken[2]}"
            raise MigrationError(msg)


def _connect(engine: Engine, wait: float) -> Connection:
    """Connect, trying again while the server is not there."""
    deadline = time.monotonic() + wait
    is_told = False
    while True:
        try:
            return engine.connect()
        except OperationalError as error:
            if remedy_for(error) != UNREACHABLE or time.monotonic() >= deadline:
                raise
            if not is_told:
                log.info("waiting_for_database", reason=str(error.orig), seconds=wait)
                is_told = True
        time.sleep(RETRY)


@contextmanager
def _turn(engine: Engine, wait: float) -> Iterator[None]:
    """Wait until no other process migrates this database.

    On SQLite the transaction takes the write lock before it reads the present revision.
    """
    if engine.dialect.name == "sqlite":
        yield
        return
    with _connect(engine, wait) as connection:
        # The lock is the server's, not the database's, and ends with the connection.
        name = f"strongback-migration:{engine.url.database}"[:64]
        query = text("SELECT GET_LOCK(:name, :seconds)")
        if connection.scalar(query, {"name": name, "seconds": TURN}) != 1:
            msg = f"another process has been migrating for {TURN} s: wait for it, or end it"
            raise MigrationError(msg)
        yield


@contextmanager
def _loggers_kept() -> Iterator[None]:
    """Undo that Flask-Alembic adds handlers of its own: an event would be written twice."""
    loggers = [logging.getLogger(name) for name in ("alembic", "sqlalchemy")]
    kept = [(logger, logger.handlers[:], logger.level) for logger in loggers]
    yield
    for logger, handlers, level in kept:
        logger.handlers[:] = handlers
        logger.setLevel(level)
    # What it says about each revision is said by `migration_applied`.
    logging.getLogger("alembic.runtime").setLevel(logging.WARNING)
