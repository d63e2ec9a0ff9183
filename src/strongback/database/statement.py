"""Statements that are decided by their row count, on SQLite and MySQL alike."""

from __future__ import annotations

from typing import Any, cast

from sqlalchemy import CursorResult, Delete, Insert, Table, Update, insert
from sqlalchemy.orm import Session

from strongback.database.base import Base


def insert_if_absent(model: type[Base]) -> Insert:
    """An insertion that does nothing if a unique value exists already."""
    statement = insert(cast("Table", model.__table__))
    statement = statement.prefix_with("OR IGNORE", dialect="sqlite")
    return statement.prefix_with("IGNORE", dialect="mysql")


def changed_rows(session: Session, statement: Delete | Insert | Update) -> int:
    """Execute a statement, and return the number of rows that it matched or inserted.

    Objects in the session stay as they are.
    """
    options = {"preserve_rowcount": True}
    if not isinstance(statement, Insert):
        options["synchronize_session"] = False
    result = session.execute(statement, execution_options=options)
    return cast("CursorResult[Any]", result).rowcount
