"""Statements whose row count decides who was first, on SQLite and MySQL alike."""

from __future__ import annotations

from typing import Any, cast

from sqlalchemy import CursorResult, Delete, Insert, Table, Update, insert
from sqlalchemy.orm import Session

from strongback.database import Base


def insert_if_absent(model: type[Base]) -> Insert:
    """An insertion that does nothing, and says so, where a unique value is there already."""
    statement = insert(cast("Table", model.__table__))
    statement = statement.prefix_with("OR IGNORE", dialect="sqlite")
    return statement.prefix_with("IGNORE", dialect="mysql")


def changes(session: Session, statement: Delete | Insert | Update) -> int:
    """Run it, and return the number of rows that it found or made."""
    options = {"preserve_rowcount": True}
    if not isinstance(statement, Insert):
        options["synchronize_session"] = False
    result = session.execute(statement, execution_options=options)
    return cast("CursorResult[Any]", result).rowcount
