"""Runs what an application has to do after its answers, in this thread and without a broker."""

from __future__ import annotations

from sqlalchemy import update

from strongback.app import Strongback
from strongback.database import Database, utc_now
from strongback.outbox import Outbox, OutboxMessage
from strongback.task import Runner


def work(app: Strongback) -> list[str]:
    """Run what is due until nothing is; returns the tasks' names in the order of their runs."""
    runner: Runner = app.services[Runner]
    with app.app_context():
        return runner.run_due()


def tick(app: Strongback, name: str) -> None:
    """Run a periodic task."""
    runner: Runner = app.services[Runner]
    with app.app_context():
        runner.run_periodic(name)


def messages(app: Strongback, consumer: str | None = None) -> list[OutboxMessage]:
    """What is in the outbox, for one consumer or all, in the order of writing."""
    outbox: Outbox = app.services[Outbox]
    with outbox.database.scope():
        found = outbox.list(None, 10_000)
        outbox.database.session.expunge_all()  # they stay readable
        return [each for each in found if consumer in (None, each.consumer)]


def make_due(app: Strongback) -> None:
    """Let what waits for a moment wait no longer."""
    database: Database = app.services[Database]
    alive = OutboxMessage.available_at.is_not(None)
    query = update(OutboxMessage).where(alive).values(available_at=utc_now())
    database.transact(lambda session: session.execute(query))
