"""Maps errors of the database to errors of the API."""

from __future__ import annotations

from sqlalchemy.exc import SQLAlchemyError

from strongback.database.database_error import is_duplicate, is_transient
from strongback.exceptions import AlreadyExists, APIException, DatabaseUnavailable

RETRY_AFTER = "5"
"""Seconds until a client should retry: about the time of a restart or a fail-over."""


def error_mapping(error: SQLAlchemyError) -> APIException | None:
    """The error of the API, or None if the database error is a defect of the code."""
    if is_transient(error):
        return DatabaseUnavailable(headers={"Retry-After": RETRY_AFTER})
    return AlreadyExists() if is_duplicate(error) else None
