"""Checks the server of the database: room for the pools, its version, and its encryption."""

from __future__ import annotations

from dataclasses import replace

import structlog
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from strongback.config import Settings
from strongback.database.engine import Limits, build_engine
from strongback.database.session import Database
from strongback.exceptions import ConfigurationError

log = structlog.get_logger(__name__)

LEAST = {"MySQL": (8, 4), "MariaDB": (10, 6), "SQLite": (3, 35)}


def check_capacity(settings: Settings) -> None:
    """Check that WEB_WORKERS x DATABASE_POOL_SIZE is within the limits of MySQL.

    Pools fill under load, so the check is made at start. It warns if other clients leave too few
    connections. An unreachable database does not prevent the start: see `/readyz`.

    Raises:
        ConfigurationError: The pools exceed the limit even without other clients.
    """
    if settings.is_sqlite:
        return
    wanted = settings.web_workers * settings.database_pool_size
    try:
        engine = build_engine(settings, replace(Limits.of(settings), pool_size=0))
        with engine.connect() as connection:
            query = text("SELECT @@max_connections, @@max_user_connections")
            server, user = connection.execute(query).one()
            query = text("SHOW GLOBAL STATUS LIKE 'Threads_connected'")
            connected = int(connection.execute(query).one()[1]) - 1  # without this one
    except DBAPIError as error:
        log.warning("database_capacity_unknown", reason=str(error.orig))
        return
    allowed = min(server, user or server)
    if wanted > allowed:
        raise ConfigurationError(
            f"WEB_WORKERS ({settings.web_workers}) x DATABASE_POOL_SIZE"
            f" ({settings.database_pool_size}) = {wanted} connections, and the database allows"
            f" {allowed} (max_connections or max_user_connections). Lower one of the two, such as"
            f" DATABASE_POOL_SIZE={max(1, allowed // settings.web_workers)}, or raise"
            " max_connections"
        )
    if wanted + connected > allowed:
        log.warning(
            "database_connections_scarce", wanted=wanted, connected=connected, allowed=allowed
        )


def check_version(database: Database) -> str:
    """Name the database, its version and the connection's cipher; refuse one that is too old."""
    is_sqlite = database.engine.dialect.name == "sqlite"
    query = "SELECT sqlite_version()" if is_sqlite else "SELECT VERSION()"
    with database.engine.connect() as connection:
        version = str(connection.scalar(text(query)))
        cipher = ""
        if not is_sqlite:
            cipher = connection.execute(text("SHOW SESSION STATUS LIKE 'Ssl_cipher'")).one()[1]
    name = "SQLite" if is_sqlite else "MariaDB" if "MariaDB" in version else "MySQL"
    found = tuple(int(part) for part in version.partition("-")[0].split(".")[:2])
    if found < LEAST[name]:
        wanted = ".".join(map(str, LEAST[name]))
        raise ConfigurationError(f"{name} {version} is too old: use {wanted} or newer")
    if is_sqlite:
        return f"{name} {version} answers"
    if cipher:
        return f"{name} {version} answers, and the connection is encrypted ({cipher})"
    return (
        f"{name} {version} answers, and the connection is not encrypted: in a network that others"
        " use too, set MYSQL_SSL_MODE=required or verify_identity"
    )
