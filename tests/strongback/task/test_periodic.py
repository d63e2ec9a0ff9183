"""Schedulers that share a database: one of them acts."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from strongback.outbox import PublishFailed
from strongback.task.periodic import LEASE, PeriodicScheduler
from tests.support.worker import WorkerHarness, wait_until

pytestmark = pytest.mark.speaks_sql

ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def sent() -> list[str]:
    """The tasks that were sent."""
    return []


@pytest.fixture
def make(embedded: WorkerHarness, sent: list[str]) -> Iterator[Callable[[], PeriodicScheduler]]:
    made: list[PeriodicScheduler] = []

    def make() -> PeriodicScheduler:
        made.append(
            PeriodicScheduler(embedded.dispatcher.runtime, lambda task, _: sent.append(task))
        )
        return made[-1]

    yield make
    for scheduler in made:
        scheduler.close()


def tick_until(condition: Callable[[], bool], *schedulers: PeriodicScheduler) -> float:
    """Let the schedulers tick in turn; returns the seconds that it took."""

    def is_met() -> bool:
        for scheduler in schedulers:
            scheduler.tick()
        return condition()

    return wait_until(is_met, "what is waited for")


def test_of_several_schedulers_one_acts(make, sent):
    """The task is due each second: at the start, and once in each second from then on."""
    taken = tick_until(lambda: len(sent) >= 3, make(), make(), make())
    assert len(sent) <= 1 + taken


def test_a_scheduler_that_stops_hands_over_at_once(make, sent):
    first, second = make(), make()
    first.tick()
    second.tick()
    assert (first._leads, second._leads, len(sent)) == (True, False, 1)
    first.close()
    second._renewed = float("-inf")  # it asks again, every few seconds
    second.tick()
    assert second._leads
    tick_until(lambda: len(sent) >= 2, second)


@ON_SQLITE
def test_a_new_start_brings_nothing_forward(make, sent):
    """When a task is due next is kept in the database, not in the process."""
    for _ in range(5):
        scheduler = make()
        scheduler.tick()
        scheduler.close()
    assert len(sent) == 1


@ON_SQLITE
def test_what_was_not_taken_is_sent_later(embedded):
    def refuse(_task: str, _seconds: float) -> None:
        raise PublishFailed("the broker does not answer")

    scheduler = PeriodicScheduler(embedded.dispatcher.runtime, refuse)
    scheduler.tick()
    scheduler.close()
    assert embedded.dispatcher.runtime.leases.remaining(f"{LEASE}:test:tick", 60) == 0


@ON_SQLITE
def test_a_scheduler_without_its_database_waits_for_it(make, embedded):
    scheduler = make()
    table = "sb_lease"
    with embedded.database.engine.begin() as connection:
        connection.exec_driver_sql(f"ALTER TABLE {table} RENAME TO away")
    scheduler.tick()
    with embedded.database.engine.begin() as connection:
        connection.exec_driver_sql(f"ALTER TABLE away RENAME TO {table}")
    scheduler._renewed = float("-inf")
    scheduler.tick()
    assert scheduler._leads
