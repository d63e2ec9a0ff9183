"""Whether the database takes as many connections as the server's processes may open."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from strongback.database.engine import Limits, build_engine
from strongback.exceptions import ConfigurationError

if TYPE_CHECKING:
    from strongback.config import Settings

log = structlog.get_logger(__name__)


def check_capacity(settings: Settings) -> None:
    """See that WEB_WORKERS x DATABASE_POOL_SIZE fits what MySQL allows.

    Pools fill under load, so a number that does not fit is found out when it hurts most. Other
    servers on the same database are not known; where they leave too little, a warning says so. A
    database that does not answer is no reason not to start: `/readyz` tells, and it may come back.

    Raises:
        ConfigurationError: It does not fit, even with nobody else connected.
    """
    if settings.is_sqlite:
        return
    wanted = settings.web_workers * settings.database_pool_size
    try:
        allowed, connected = _ask(settings)
    except DBAPIError as error:
        log.warning("database_capacity_unknown", reason=str(error.orig))
        return
    if wanted > allowed:
        message = (
            f"WEB_WORKERS ({settings.web_workers}) x DATABASE_POOL_SIZE"
            f" ({settings.database_pool_size}) = {wanted} connections, and the database allows"
            f" {allowed} (max_connections or max_user_connections). Lower one of the two, such as"
            f" DATABASE_POOL_SIZE={max(1, allowed // settings.web_workers)}, or raise"
            " max_connections"
        )
        raise ConfigurationError(message)
    if wanted + connected > allowed:
        log.warning(
            "database_connections_scarce", wanted=wanted, connected=connected, allowed=allowed
        )


def _ask(settings: Settings) -> tuple[int, int]:
    """Return how many connections are allowed, and how many others there are."""
    limits = Limits.of(settings)
    engine = build_engine(settings, Limits(limits.connect, limits.lock, limits.statement))
    with engine.connect() as connection:
        server, user = connection.execute(
            text("SELECT @@max_connections, @@max_user_connections")
        ).one()
        _, connected = connection.execute(text("SHOW GLOBAL STATUS LIKE 'Threads_connected'")).one()
    return min(server, user or server), int(connected) - 1
