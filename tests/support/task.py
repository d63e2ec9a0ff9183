"""The parts of background work, joined without a broker: what is due is run in this thread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import update

from strongback.database import Database, utc_now
from strongback.outbox import Batch, Outbox, OutboxMessage, Relay
from strongback.task import Jobs, Runner, TaskGroup, TaskRegistry


@dataclass
class TaskHarness:
    """Everything between a write and its effect but the broker."""

    database: Database
    group: TaskGroup = field(default_factory=lambda: TaskGroup("test"))
    published: list[tuple[str, list[int]]] = field(default_factory=list)
    """What the relay gave to the broker, which is this object."""

    def __post_init__(self) -> None:
        self.outbox = Outbox(self.database)
        self.registry = TaskRegistry(self.outbox)
        self.jobs = Jobs(self.database, self.outbox)
        self.runner = Runner(self.registry, self.outbox, self.jobs)
        self.relay = Relay(self.outbox, self)

    def open(self) -> None:
        """Take in what the test has declared on `group`."""
        self.registry.add(self.group)

    # The broker

    def publish(self, batches: Sequence[Batch]) -> None:
        """Keep what is to be run."""
        self.published += [(each.consumer, list(each.ids)) for each in batches]

    def work(self) -> int:
        """Deliver and run until nothing is due; returns how many times a task was run."""
        runs = 0
        while self.relay.deliver():
            while self.published:
                consumer, ids = self.published.pop(0)
                self.runner.run(consumer, ids)
                runs += 1
        return runs

    def wait(self) -> None:
        """Make due what waits for its next attempt."""
        with self.database.scope():
            alive = OutboxMessage.available_at.is_not(None)
            query = update(OutboxMessage).where(alive).values(available_at=utc_now())
            self.database.transact(lambda session: session.execute(query))

    def messages(self) -> list[OutboxMessage]:
        """What is in the outbox, in the order of writing."""
        with self.database.scope():
            self.database.session.rollback()
            messages = list(self.outbox.list(None, 1000))
            self.database.session.expunge_all()
        return messages
