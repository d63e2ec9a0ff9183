"""Runs what an application has to do after its answers, in this thread and without a broker."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import update

from strongback.app import Strongback
from strongback.database import Database, utc_now
from strongback.outbox import Batch, Outbox, OutboxMessage, Relay
from strongback.task import Runner


@dataclass
class Broker:
    """Keeps what it is given."""

    messages: list[tuple[str, list[int]]] = field(default_factory=list)

    def publish(self, batches: Sequence[Batch]) -> None:
        self.messages += [(each.consumer, list(each.ids)) for each in batches]


def work(app: Strongback) -> list[str]:
    """Run what is due until nothing is; returns the tasks' names in the order of their runs."""
    outbox: Outbox = app.services[Outbox]
    runner: Runner = app.services[Runner]
    broker = Broker()
    relay, names = Relay(outbox, broker), []
    with app.app_context():
        while relay.deliver():
            while broker.messages:
                name, ids = broker.messages.pop(0)
                runner.run(name, ids)
                names.append(name)
    return names


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
