"""Deletes many rows without holding the locks of many."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import delete, select

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import ColumnElement
    from sqlalchemy.orm import InstrumentedAttribute, Session

    from strongback.database.session import Database

BATCH = 500
"""Rows of one transaction: a few milliseconds, in which SQLite lets nobody else write."""


def delete_in_batches(
    database: Database,
    id_: InstrumentedAttribute[Any],
    condition: ColumnElement[bool],
    *,
    batch: int = BATCH,
    progress: Callable[[int], object] = lambda _: None,
) -> int:
    """Delete the rows of which a condition is true, each batch in a transaction of its own.

    Args:
        database: Where.
        id_: The attribute of the model that tells these rows apart.
        condition: Which rows.
        batch: How many at once; fewer where a row is large.
        progress: Is told after each batch how many more are gone.

    Returns:
        How many rows were deleted.
    """

    def delete_some(session: Session) -> int:
        # Chosen first: MySQL knows no LIMIT in a subquery of IN.
        ids = session.scalars(select(id_).where(condition).limit(batch)).all()
        if ids:
            # Both: what has changed meanwhile stays, and an id names a row among these only.
            session.execute(delete(cast("type[Any]", id_.class_)).where(condition, id_.in_(ids)))
        return len(ids)

    total = 0
    while count := database.transact(delete_some):
        total += count
        progress(count)
    return total
