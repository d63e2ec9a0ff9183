"""Which answer a database error deserves."""

from __future__ import annotations

from sqlalchemy.exc import SQLAlchemyError

from strongback.database.database_error import is_duplicate, is_transient
from strongback.exceptions import AlreadyExists, APIException, DatabaseUnavailable

RETRY_AFTER = "5"
"""Seconds that a client is asked to wait: about what a restart or a fail-over takes."""


def error_mapping(error: SQLAlchemyError) -> APIException | None:
    """The answer for an error that is not the code's fault, or None for one that is."""
    if is_transient(error):
        return DatabaseUnavailable(headers={"Retry-After": RETRY_AFTER})
    return AlreadyExists() if is_duplicate(error) else None
