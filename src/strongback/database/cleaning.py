"""Deletes many rows in short transactions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import delete, select

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import ColumnElement
    from sqlalchemy.orm import InstrumentedAttribute, Session

    from strongback.database.session import Database

BATCH = 500
"""Rows per transaction: a few milliseconds, in which SQLite allows no other writer."""


def delete_in_batches(
    database: Database,
    id_: InstrumentedAttribute[Any],
    condition: ColumnElement[bool],
    *,
    batch: int = BATCH,
    progress: Callable[[int], object] = lambda _: None,
) -> int:
    """Delete the rows that match a condition, each batch in a transaction of its own.

    Args:
        database: The database.
        id_: Attribute of the model that identifies the rows.
        condition: Condition of the rows.
        batch: Rows per transaction; fewer if the rows are large.
        progress: Called after each batch with the number of deleted rows.

    Returns:
        The number of deleted rows.
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
