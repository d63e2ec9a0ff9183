"""Statements that are decided by their row count, and deletions in short transactions."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, cast

from sqlalchemy import (
    ColumnElement,
    CursorResult,
    Delete,
    Insert,
    Table,
    UniqueConstraint,
    Update,
    and_,
    delete,
    exists,
    insert,
    select,
    update,
)
from sqlalchemy.dialects import mysql
from sqlalchemy.orm import InstrumentedAttribute, Session

from strongback.database.base import Base
from strongback.database.session import Database

BATCH = 500
"""Rows per transaction: a few milliseconds, in which SQLite allows no other writer."""


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


def count_within(
    session: Session,
    count: InstrumentedAttribute[int],
    limit: int,
    row: dict[InstrumentedAttribute[Any], Any],
) -> bool:
    """Add one to a count in a row, which is made where it is missing; False at the limit.

    In a transaction. The limit is 1 or more; `row` has the values of the columns that are unique
    together.
    """
    model = cast("type[Base]", count.class_)
    mine = and_(*(column == value for column, value in row.items()))
    more = update(model).where(mine, count < limit).values({count: count + 1})
    # By one index, whatever MySQL takes for the quickest: two that lock a row by the two indexes
    # that it may choose from wait for each other.
    more = more.with_hint(f"FORCE INDEX ({_unique_index(model, row)})", dialect_name="mysql")
    if changed_rows(session, more):
        return True
    if session.scalar(select(exists().where(mine))):
        return False
    lock_row(session, count, row)
    return bool(changed_rows(session, more))


def _unique_index(model: type[Base], columns: Collection[InstrumentedAttribute[Any]]) -> str:
    table, names = cast("Table", model.__table__), {column.key for column in columns}
    unique = (one for one in table.constraints if isinstance(one, UniqueConstraint))
    return next(str(one.name) for one in unique if set(one.columns.keys()) == names)


def lock_row(
    session: Session, count: InstrumentedAttribute[int], row: dict[InstrumentedAttribute[Any], Any]
) -> None:
    """Insert a row with a count of 0 unless it exists, and lock it for the transaction.

    An insertion that is ignored locks an existing row for readers only: of several that meet and
    change it then, MySQL would end all but one as deadlocked.
    """
    model = cast("type[Base]", count.class_)
    if session.get_bind().dialect.name == "sqlite":  # its writer is alone
        session.execute(insert_if_absent(model).values({**row, count: 0}))
    else:
        first = mysql.insert(cast("Table", model.__table__)).values({**row, count: 0})
        session.execute(first.on_duplicate_key_update({count.key: count}))


def delete_in_batches(
    database: Database,
    id_: InstrumentedAttribute[Any],
    condition: ColumnElement[bool],
    *,
    batch: int = BATCH,
    progress: Callable[[int], object] = lambda _: None,
) -> int:
    """Delete the rows that match a condition, each batch in a transaction of its own.

    After each batch `progress` is called with the number of its rows; returns that of all.
    """

    def delete_some(session: Session) -> int:
        # Selected first: MySQL has no LIMIT in a subquery of IN.
        ids = session.scalars(select(id_).where(condition).limit(batch)).all()
        if ids:
            # Both: rows that have changed meanwhile stay.
            session.execute(delete(cast("type[Any]", id_.class_)).where(condition, id_.in_(ids)))
        return len(ids)

    total = 0
    while count := database.transact(delete_some):
        total += count
        progress(count)
    return total
