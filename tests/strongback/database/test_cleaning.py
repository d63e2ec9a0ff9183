from __future__ import annotations

import pytest
from sqlalchemy import event, select

from strongback.database import delete_in_batches
from strongback.idempotency import IdempotencyKey

pytestmark = pytest.mark.speaks_sql


def test_the_rows_that_the_condition_names_are_deleted_a_batch_in_a_transaction(database):
    rows = [
        IdempotencyKey(caller=caller, key=str(number), operation="", fingerprint="")
        for number in range(5)
        for caller in ("user:1", "user:2")
    ]
    database.transact(lambda session: session.add_all(rows))
    batches: list[int] = []

    def count_deleted(**given):
        if given["statement"].startswith("DELETE"):
            batches.append(given["cursor"].rowcount)

    event.listen(database.engine, "after_cursor_execute", count_deleted, named=True)
    deleted = delete_in_batches(
        database, IdempotencyKey.id, IdempotencyKey.caller == "user:1", batch=2
    )
    with database.scope():
        left = database.session.scalars(select(IdempotencyKey.caller)).all()
    assert (deleted, batches) == (5, [2, 2, 1])
    assert left == ["user:2"] * 5
