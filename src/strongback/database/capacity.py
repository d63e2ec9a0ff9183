"""Compares the connection pools with the limits of the database."""

from __future__ import annotations

from dataclasses import replace

import structlog
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from strongback.config import Settings
from strongback.database.engine import Limits, build_engine
from strongback.exceptions import ConfigurationError

log = structlog.get_logger(__name__)


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
