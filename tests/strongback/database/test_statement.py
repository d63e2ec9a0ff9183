from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date

import pytest
from sqlalchemy import delete, event, select

from strongback.database import count_within, delete_in_batches
from strongback.idempotency import IdempotencyKey
from strongback.sms.sms_model import SmsQuota

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


def test_of_those_who_count_at_once_as_many_pass_as_the_limit_allows(database):
    database.transact(lambda session: session.execute(delete(SmsQuota)))
    row = {SmsQuota.key: "everybody", SmsQuota.day: date(2026, 11, 27)}

    def count(_):
        return database.transact(lambda each: count_within(each, SmsQuota.spent, 3, row))

    with ThreadPoolExecutor(4) as pool:
        passed = list(pool.map(count, range(6)))
    with database.scope():
        spent = database.session.scalars(select(SmsQuota.spent)).all()
    assert (sum(passed), spent) == (3, [3])
