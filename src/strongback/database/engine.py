"""Engines, with the limits and modes that make SQLite, MySQL and MariaDB behave alike."""

from __future__ import annotations

import math
import ssl
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool, QueuePool

from strongback.address import CHARSET, SSLMode
from strongback.config import Settings
from strongback.database.database_error import hide_values
from strongback.exceptions import ConfigurationError
from strongback.private import make_private_file

WRITES = "strongback_writes"
"""Execution option of a connection with a writing transaction."""

RECYCLE = 300
"""Seconds after which a connection is replaced, before proxies drop it silently."""

SQL_MODE = (
    "STRICT_ALL_TABLES,ONLY_FULL_GROUP_BY,NO_ZERO_IN_DATE,NO_ZERO_DATE,"
    "ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION"
)
OWN_OPTIONS = ("charset", "ssl_ca", "ssl_mode")
"""Options of `DATABASE_URL` that the driver gets in another form."""
INSTRUCTIONS_PER_CHECK = 100_000  # SQLite runs them in about a millisecond


@dataclass(frozen=True)
class Limits:
    """Time-outs of an engine, in seconds, and its number of connections."""

    connect: float
    """For opening a connection, or waiting for a free one."""
    lock: float
    """For locks of rows, of tables, and of SQLite's writer."""
    statement: float | None
    """For one statement; `None` for migrations."""
    pool_size: int = 0
    """Size of the pool; 0 opens a connection for each use."""

    @property
    def is_migrating(self) -> bool:
        """Whether tables are rebuilt: every transaction writes, and foreign keys do not hold."""
        return self.statement is None

    @classmethod
    def of(cls, settings: Settings) -> Limits:
        """Return the limits of an application's engine."""
        # Half of the time for a lock leaves time for a second attempt.
        lock = settings.database_timeout if settings.is_sqlite else settings.database_timeout / 2
        return cls(
            connect=settings.database_timeout,
            lock=lock,
            statement=settings.database_query_timeout,
            pool_size=settings.database_pool_size,
        )


def build_engine(settings: Settings, limits: Limits) -> Engine:
    """Build an engine for the settings; it connects at the first use.

    Raises:
        ConfigurationError: The address is that of an in-memory SQLite.
    """
    url = settings.database_address
    options: dict[str, Any] = {"hide_parameters": True, "poolclass": NullPool}
    if limits.pool_size:
        options |= {"poolclass": QueuePool, "pool_size": limits.pool_size, "max_overflow": 0}
        options["pool_timeout"] = limits.connect
    if settings.is_sqlite:
        file = _prepare_file(url, settings.ROOT)
        # The pool passes connections between threads, one at a time.
        options["connect_args"] = {"check_same_thread": False}
        engine = create_engine(file, **options)
        path = file.database or ""
        if not path.startswith("file:"):
            event.listen(engine, "do_connect", lambda *_: make_private_file(Path(path)))
        _configure_sqlite(engine, limits, settings.sqlite_synchronous)
    else:
        options |= _mysql_options(settings, limits)
        engine = create_engine(url.difference_update_query(OWN_OPTIONS), **options)
        event.listen(engine, "handle_error", _give_up_frozen)
    event.listen(engine, "handle_error", _hide_values)
    return engine


def _hide_values(context: ExceptionContext) -> None:
    if isinstance(context.sqlalchemy_exception, DBAPIError):
        hide_values(context.sqlalchemy_exception)


# SQLite ------------------------------------------------------------------------------------------


def _prepare_file(url: URL, root: Path) -> URL:
    name = url.database or ""
    if not name or ":memory:" in name or url.query.get("mode") == "memory":
        raise ConfigurationError(
            "DATABASE_URL: an in-memory SQLite shows every connection another empty database;"
            " name a file, such as sqlite:///var/app.db"
        )
    if name.startswith("file:"):
        return url
    path = root / name
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"the database's folder {path.parent} cannot be made ({error.strerror});"
            " choose another: APP_VAR_DIR=/path/to/folder"
        ) from None
    return url.set(database=str(path))


def _configure_sqlite(engine: Engine, limits: Limits, synchronous: str) -> None:
    @event.listens_for(engine, "connect")
    def connect(connection: Any, record: Any) -> None:  # noqa: ANN401  the driver's types
        # The driver begins transactions late and never IMMEDIATE.
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {int(limits.lock * 1000)}")
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute(f"PRAGMA synchronous = {synchronous}")
        cursor.execute(f"PRAGMA foreign_keys = {int(not limits.is_migrating)}")
        cursor.execute("PRAGMA case_sensitive_like = ON")  # as utf8mb4_bin
        cursor.close()
        if limits.statement is not None:  # SQLite has no limit of its own
            record.info["deadline"] = math.inf
            connection.set_progress_handler(
                lambda: time.monotonic() > record.info["deadline"], INSTRUCTIONS_PER_CHECK
            )

    @event.listens_for(engine, "begin")
    def start(connection: Connection) -> None:
        # A writer takes the lock at once: a reader that turns writer halfway fails without
        # waiting as soon as anybody else has written in between.
        if limits.is_migrating or connection.get_execution_options().get(WRITES):
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:  # straight to the driver: it cannot fail, and every read pays for it
            connection.connection.cursor().execute("BEGIN")

    if (seconds := limits.statement) is not None:

        @event.listens_for(engine, "before_cursor_execute")
        def set_deadline(connection: Connection, *_: object) -> None:
            connection.info["deadline"] = time.monotonic() + seconds


# MySQL and MariaDB -------------------------------------------------------------------------------


def _mysql_options(settings: Settings, limits: Limits) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        "charset": CHARSET,
        "connect_timeout": math.ceil(limits.connect),
        # Sent before SQLAlchemy inspects the server: under `sql_mode=ANSI` it would choose quotes
        # that our own mode does not support.
        "init_command": _session_settings(limits),
    }
    if limits.statement is not None:
        # One second more than the server's own limit, which has the better error.
        arguments["read_timeout"] = arguments["write_timeout"] = math.ceil(limits.statement) + 1
    if settings.database_address.get_driver_name() == "pymysql":
        # The driver would encode a str as Latin-1; MySQL compares UTF-8.
        arguments["password"] = (settings.database_address.password or "").encode()
        arguments |= _pymysql_encryption(settings.ssl_mode, settings.ssl_ca)
    else:
        arguments["ssl_mode"] = settings.ssl_mode.upper()
        if settings.ssl_ca:
            arguments["ssl"] = {"ca": str(settings.ssl_ca)}
    options: dict[str, Any] = {"connect_args": arguments, "isolation_level": "READ COMMITTED"}
    if limits.pool_size:
        options |= {"pool_pre_ping": True, "pool_recycle": RECYCLE}
    return options


def _session_settings(limits: Limits) -> str:
    lock = max(1, math.ceil(limits.lock))
    command = (
        f"SET SESSION time_zone = '+00:00', sql_mode = '{SQL_MODE}',"
        f" innodb_lock_wait_timeout = {lock}, lock_wait_timeout = {lock}"
    )
    if limits.statement is None:
        return command
    # Executable comments: for all statements on MariaDB, for SELECT on MySQL.
    milliseconds = math.ceil(limits.statement * 1000)
    return (
        f"{command} /*M! , max_statement_time = {limits.statement} */"
        f" /*!80000 , max_execution_time = {milliseconds} */"
    )


def _pymysql_encryption(mode: SSLMode, authorities: Path | None) -> dict[str, Any]:
    if mode is SSLMode.DISABLED:
        return {"ssl_disabled": True}
    if mode is SSLMode.PREFERRED:
        return {}
    try:
        context = ssl.create_default_context(cafile=authorities)
    except OSError as error:  # also for invalid certificates
        raise ConfigurationError(
            f"MYSQL_SSL_CA (ssl_ca in DATABASE_URL): {authorities} cannot be used"
            f" ({error.strerror or error}); name a PEM file with the certificates that are trusted"
        ) from None
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # MySQL's generated certificates do not pass it
    context.check_hostname = mode is SSLMode.VERIFY_IDENTITY
    if mode is SSLMode.REQUIRED:
        context.verify_mode = ssl.CERT_NONE
    return {"ssl": context}


def _give_up_frozen(context: ExceptionContext) -> None:
    # If a ping times out, the server is frozen: a new connection would wait again.
    if context.is_pre_ping and isinstance(context.original_exception.__context__, TimeoutError):
        context.is_disconnect = False


# A shorter limit for one statement ---------------------------------------------------------------


def limit_statement(connection: Connection, statement: str, seconds: float) -> str:
    """Give a reading statement a shorter limit than its connection has; returns the statement.

    The limit is part of the statement, so it costs no round trip. On SQLite it is the deadline that
    the progress handler checks.
    """
    dialect = connection.dialect
    if dialect.name == "sqlite":
        connection.info["deadline"] = time.monotonic() + seconds
    elif statement.startswith("SELECT"):
        if getattr(dialect, "is_mariadb", False):
            return f"SET STATEMENT max_statement_time={seconds} FOR {statement}"
        hint = f"/*+ MAX_EXECUTION_TIME({math.ceil(seconds * 1000)}) */"
        return f"SELECT {hint}{statement.removeprefix('SELECT')}"
    return statement
