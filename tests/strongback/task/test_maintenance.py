from __future__ import annotations

import io
from datetime import timedelta

import pytest
from sqlalchemy import Update, func, select, update

from strongback.auth.session_model import AuthSession
from strongback.database import utc_now
from strongback.idempotency import IdempotencyKey
from strongback.outbox import InboxEntry
from strongback.task import TaskRecord, TaskRegistry
from strongback.upload import Upload, Uploads
from tests.support.api import API
from tests.support.work import tick

pytestmark = pytest.mark.speaks_sql

LONG_AGO = timedelta(days=400)


def add_rows(api: API) -> None:
    """Two of everything: one that is over for long, and one that is not."""
    uploads: Uploads = api.app.services[Uploads]
    for _ in range(2):
        uploads.keep("a", io.BytesIO(b"x"))
    now = utc_now()
    sessions = [
        AuthSession(id=f"s{number}", user_id=1, client_id="c", expires_at=now + timedelta(1))
        for number in range(2)
    ]
    keys = [
        IdempotencyKey(caller="user:1", key=f"k{number}", operation="o", fingerprint="f")
        for number in range(2)
    ]
    entries = [InboxEntry(message_id=number, consumer="c") for number in range(2)]
    tasks = [TaskRecord(id=f"t{number}", name="n", owner=1, finished_at=now) for number in range(2)]
    rows = [*sessions, *keys, *entries, *tasks]
    api.database.transact(lambda session: session.add_all(rows))


def outdate(api: API) -> None:
    old = utc_now() - LONG_AGO
    # Asked first: MySQL does not change a table by a subquery of it.
    first = api.database.transact(lambda session: session.scalar(select(func.min(Upload.id))))
    changes: list[Update] = [
        update(Upload).where(Upload.id == first).values(created_at=old),
        update(IdempotencyKey).where(IdempotencyKey.key == "k0").values(created_at=old),
        update(AuthSession).where(AuthSession.id == "s0").values(expires_at=old, last_used_at=old),
        update(InboxEntry).where(InboxEntry.message_id == 0).values(handled_at=old),
        update(TaskRecord).where(TaskRecord.id == "t0").values(finished_at=old),
    ]
    api.database.transact(lambda session: [session.execute(change) for change in changes])


@pytest.mark.parametrize(
    "name, model",
    [
        ("maintenance:sessions", AuthSession),
        ("maintenance:idempotency-keys", IdempotencyKey),
        ("maintenance:uploads", Upload),
        ("maintenance:inbox", InboxEntry),
        ("maintenance:tasks", TaskRecord),
    ],
)
def test_deletes_what_is_over_and_nothing_else(api, name, model):
    add_rows(api)
    outdate(api)
    tick(api.app, name)
    with api.database.scope():
        assert api.database.session.scalar(select(func.count()).select_from(model)) == 1


def test_beat_is_told_of_every_one(api):
    registry: TaskRegistry = api.app.services[TaskRegistry]
    periodic = {task.name for task in registry if task.every is not None}
    assert periodic >= {
        "maintenance:idempotency-keys",
        "maintenance:inbox",
        "maintenance:sessions",
        "maintenance:tasks",
        "maintenance:uploads",
    }
