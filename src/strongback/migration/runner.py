"""Migrations: Flask-Alembic, `flask db …`, made safe for several processes at once.

The framework's revisions are the branch `strongback`, in this package; each package of the
application with models has a branch in the application's folder.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import structlog
from alembic import util
from alembic.autogenerate.api import AutogenContext
from alembic.operations.ops import MigrationScript
from alembic.runtime.migration import MigrationContext, MigrationInfo, MigrationStep
from alembic.script import Script
from flask import Flask
from flask_alembic import Alembic
from flask_alembic.extension import t_rev
from sqlalchemy import Connection, Engine, event, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.sql.schema import SchemaItem

from strongback.database import Base, Database, UTCDateTime
from strongback.database.remedy import UNREACHABLE, remedy_for
from strongback.migration.branch import (
    VERSION_TABLE,
    BranchStep,
    MigrationError,
    applied_revisions,
    branch_of,
)
from strongback.migration.writing import UNNAMED, Writing

log = structlog.get_logger(__name__)

VERSIONS = Path(__file__).parent / "versions"
"""The framework's revisions, and the template of all revisions."""
TURN = 120
"""Seconds to wait for a migration by another process."""
APPLIED = "applied_revisions"
"""Revisions of a connection that are applied and not checked yet."""
RETRY = 0.1
"""Seconds between two attempts to connect to a server that is starting."""


class Migrations(Alembic):
    """Flask-Alembic, for one process at a time."""

    def __init__(self, database: Database, folder: Path, wait: float = 0) -> None:
        self.database = database
        self.folder = folder
        self.wait = wait
        self.writing: Writing | None = None
        self.is_stamping = False
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
        """Run the revisions that `fn` selects, after any migration by another process."""

        def choose(
            heads: str | list[str] | tuple[str, ...], context: MigrationContext
        ) -> list[MigrationStep]:
            known, ahead = self._tell_apart(heads)
            known = known if self.is_stamping else self._without_needed(known)
            steps = [BranchStep.of(step) for step in fn(known, context)]
            return [step for step in steps if not ahead & _branches_of(step)]

        engine = self.engines["default"]
        with _turn(engine, self.wait):
            with engine.connect() as connection:
                applied_revisions(connection)
            try:
                super().run_migrations(choose, **kwargs)
            except util.CommandError as error:
                branches = ", ".join(sorted(map(branch_of, self.script_directory.get_heads())))
                msg = f"{error}. There are the branches {branches}: see flask db heads"
                raise MigrationError(msg) from error

    def revision(  # noqa: PLR0913, PLR0917  Flask-Alembic's signature
        self,
        message: str,
        empty: bool = False,  # noqa: FBT001, FBT002  Flask-Alembic's signature
        branch: str = UNNAMED,
        parent: Any = "head",  # noqa: ANN401  the same
        splice: bool = False,  # noqa: FBT001, FBT002  the same
        depend: Any = None,  # noqa: ANN401  the same
        label: Any = None,  # noqa: ANN401  the same
        path: str | None = None,
    ) -> list[Script | None]:
        """Write what has changed in the models as revisions, one for each branch.

        Raises:
            MigrationError: Nothing has changed, more was said than the branch, or the database
                lacks revisions that are there already.
        """
        if splice or label or path or tuple(util.to_tuple(parent)) != ("head",):
            msg = "A revision follows the last one of its branch and stands beside it: say -b alone"
            raise MigrationError(msg)
        if lacking := self.pending():
            msg = f"The database lacks {', '.join(lacking)}. Run first: flask db upgrade"
            raise MigrationError(msg)
        named = None if branch == UNNAMED else branch
        self.writing = Writing(self.script_directory, self.folder, named, empty)
        try:
            return super().revision(message, empty, branch, depend=depend)
        finally:
            self.writing = None

    def downgrade(self, target: int | str | Script = -1) -> None:
        """Revert revisions of the named branch, and before them those that depend on them."""
        if str(target).startswith("-"):
            raise MigrationError(f"Name the branch: flask db downgrade BRANCH@{target}")
        super().downgrade(target)

    def merge(self, *_: object, **__: object) -> Script | None:
        """Refuse: branches stay separate, and each is a linear sequence."""
        raise MigrationError(
            "Branches are not merged. If two revisions of one follow the same, write the name of"
            " the first into the other's down_revision"
        )

    def stamp(self, target: t_rev = "heads") -> None:
        """Mark revisions as applied; by default the last one of every branch."""
        self.is_stamping = True
        try:
            super().stamp(self.script_directory.get_heads() if target == "heads" else target)
        finally:
            self.is_stamping = False

    def current(self) -> tuple[Script, ...]:
        """Return the applied revisions that this code knows."""
        known, _ = self._tell_apart(self.migration_context.get_current_heads())
        return self.script_directory.get_revisions(known)

    def pending(self) -> list[str]:
        """Return the revisions that the database lacks, the next one first."""
        with self.database.latest() as session:
            known, ahead = self._tell_apart(applied_revisions(session.connection()))
        revisions = self.script_directory.iterate_revisions(
            "heads", self._without_needed(known), implicit_base=True
        )
        names = [revision.revision for revision in revisions]
        return [name for name in reversed(names) if branch_of(name) not in ahead]

    def is_compared(
        self,
        _: SchemaItem,
        name: str | None,
        kind: str,
        reflected: bool,  # noqa: FBT001  Alembic's signature
        model: SchemaItem | None,
    ) -> bool:
        """Return whether a difference between models and database is considered."""
        if kind != "table" or name is None:
            return True
        is_stray = reflected and model is None
        return self.writing.compares(name, is_stray=is_stray) if self.writing else not is_stray

    def divide(self, _: MigrationContext, __: object, directives: list[MigrationScript]) -> None:
        """Split the changes into a revision for each branch."""
        if self.writing:
            self.writing.divide(directives)

    def _tell_apart(self, applied: Iterable[str]) -> tuple[tuple[str, ...], set[str]]:
        """Return the known revisions, and the branches with unknown ones.

        Unknown ones are of a later release, as during a rollout, or of a removed slice.
        """
        names = {revision.revision for revision in self.script_directory.walk_revisions()}
        unknown = set(applied) - names
        return tuple(set(applied) & names), {branch_of(name) for name in unknown}

    def _without_needed(self, revisions: tuple[str, ...]) -> tuple[str, ...]:
        """Remove revisions that others follow or depend on, which Alembic implies."""
        needed = {
            each.revision
            for revision in revisions
            for each in self.script_directory.iterate_revisions(revision, "base")
            if each.revision != revision
        }
        return tuple(set(revisions) - needed)


def _branches_of(step: MigrationStep) -> set[str]:
    return {branch_of(each) for each in (*step.from_revisions_no_deps, *step.to_revisions_no_deps)}


def init_migrations(app: Flask, database: Database, folder: Path, wait: float = 0) -> None:
    """Set up migrations of the revisions in `folder/versions`, and the commands `flask db …`.

    They wait `wait` seconds for a server that is starting.
    """
    versions = folder / "versions"
    migrations = Migrations(database, versions, wait)
    app.config["ALEMBIC"] = {
        "script_location": str(VERSIONS),
        "version_locations": [str(versions)],
        "revision_environment": "true",  # an empty revision has a branch, too
    }
    # SQLite changes tables in transactions, so that all revisions succeed or none; MySQL commits at
    # each such statement.
    is_sqlite = database.engine.dialect.name == "sqlite"
    app.config["ALEMBIC_CONTEXT"] = {
        "version_table": VERSION_TABLE,
        "compare_type": True,
        "render_as_batch": True,  # SQLite alters a table by making a new one
        "render_item": _render_item,
        "transactional_ddl": is_sqlite,
        "transaction_per_migration": not is_sqlite,
        "on_version_apply": _finish_revision,
        "include_object": migrations.is_compared,
        "process_revision_directives": migrations.divide,
    }
    migrations.init_app(app)


def upgrade(app: Flask) -> None:
    """Apply all pending revisions.

    Raises:
        MigrationError: Another process has been migrating for `TURN` seconds.
    """
    with app.app_context():
        _migrations(app).upgrade()


def pending(app: Flask) -> list[str]:
    """Return the pending revisions, the next one first.

    A branch with a revision that this code does not know has none pending: during a rollout, the
    old release stays in service.

    Raises:
        MigrationError: The database is of the first edition.
    """
    with app.app_context():
        return _migrations(app).pending()


def _migrations(app: Flask) -> Migrations:
    migrations = app.extensions["alembic"]
    assert isinstance(migrations, Migrations)  # noqa: S101  for the type checker
    return migrations


def _render_item(kind: str, item: object, context: AutogenContext) -> str | bool:
    """Write our types as those of SQLAlchemy: revisions must not depend on current code."""
    if kind == "type" and isinstance(item, UTCDateTime):
        context.imports.add("from sqlalchemy.dialects import mysql")
        return 'sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql")'
    return False


def _finish_revision(*, ctx: MigrationContext, step: MigrationInfo, **_: object) -> None:
    if ctx.connection is not None:
        ctx.connection.info.setdefault(APPLIED, []).append(step.up_revision_id)
    log.info("migration_applied", revision=step.up_revision_id, upgrade=step.is_upgrade)


def _check_references(connection: Connection) -> None:
    """Check all foreign keys before a commit.

    SQLite does not check them while tables are rebuilt. It is done once, after the last revision,
    because it reads all referring rows and blocks writers.
    """
    if revisions := connection.info.pop(APPLIED, None):
        broken = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
        if broken is not None:
            names = ", ".join(map(str, revisions))
            msg = f"{names}: this leaves {broken[0]} with rows that refer to no {broken[2]}"
            raise MigrationError(msg)


def _connect(engine: Engine, wait: float) -> Connection:
    """Connect, retrying while the server is unreachable."""
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
    """Wait for migrations of this database by other processes.

    On SQLite the transaction takes the write lock before it reads the current revision.
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
    """Remove the log handlers that Flask-Alembic adds: events would be written twice."""
    loggers = [logging.getLogger(name) for name in ("alembic", "sqlalchemy")]
    kept = [(logger, logger.handlers[:], logger.level) for logger in loggers]
    yield
    for logger, handlers, level in kept:
        logger.handlers[:] = handlers
        logger.setLevel(level)
    # `migration_applied` is logged for each revision.
    logging.getLogger("alembic.runtime").setLevel(logging.WARNING)
