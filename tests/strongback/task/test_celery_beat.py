"""Real beats that share a database, and are stopped and killed."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import redis
from celery.apps.beat import Beat
from celery.beat import Service
from sqlalchemy import event

from strongback.task.celery_app import TaskCelery, build_celery
from strongback.task.celery_beat import LeasedScheduler, stop_between_ticks
from strongback.task.periodic import LEASE, LEASE_SECONDS, RENEW_INTERVAL
from strongback.testing.redis import RedisServer
from tests.support.worker import WorkerHarness, wait_until

pytestmark = pytest.mark.speaks_sql

ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def celery(workers: WorkerHarness) -> TaskCelery:
    return build_celery(workers.dispatcher.runtime)


@dataclass
class Queue:
    """What the beats have sent."""

    server: RedisServer

    def __len__(self) -> int:
        with redis.Redis.from_url(self.server.url) as client:
            length: int = client.llen("low")
            return length


@pytest.fixture
def sent(redis_server: RedisServer) -> Queue:
    return Queue(redis_server)


@ON_SQLITE
def test_a_killed_beat_is_replaced_within_the_time_of_its_lease(workers: WorkerHarness, sent):
    def acting() -> list[bool]:
        return ["beat_started" in each.text for each in beats]

    with workers.beat() as first, workers.beat() as second:
        beats = [first, second]
        wait_until(lambda: any(acting()), "a beat's acting")
        time.sleep(1)
        assert sorted(acting()) == [False, True]
        beats[acting().index(True)].kill()
        at_kill = len(sent)
        wait_until(lambda: all(acting()), "the replacement", 2 * (LEASE_SECONDS + RENEW_INTERVAL))
        wait_until(lambda: len(sent) > at_kill, "its first task")


@pytest.fixture
def handlers() -> Iterator[None]:
    """The process's handlers of stops are as they were, whatever a test sets."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@ON_SQLITE
def test_a_stop_in_the_middle_of_a_transaction_gives_the_lease_up(celery, workers, handlers):
    service = Service(celery, scheduler_cls=LeasedScheduler)
    taken: list[str] = []

    @event.listens_for(workers.database.engine, "after_cursor_execute")
    def stop(_connection, _cursor, statement: str, *_: object) -> None:
        if "INTO sb_lease" in statement:
            taken.append(statement)
            if len(taken) == 2:  # its own lease is committed, and now it takes the task's
                os.kill(os.getpid(), signal.SIGTERM)

    Beat(app=celery).install_sync_handler(service)  # as its command does before it starts
    stop_between_ticks(service)
    service.start()
    assert len(taken) == 2
    assert workers.dispatcher.runtime.leases.remaining(LEASE, LEASE_SECONDS) == 0


@ON_SQLITE
def test_a_beat_outlasts_a_broker_that_has_become_read_only(
    workers: WorkerHarness, sent, redis_server
):
    with workers.beat() as beat, redis.Redis.from_url(redis_server.url) as server:
        wait_until(lambda: len(sent) > 0, "the first task")
        server.execute_command("REPLICAOF 127.0.0.1 1")
        try:
            wait_until(lambda: "periodic_task_not_sent" in beat.text, "the refusal")
            before = len(sent)
        finally:
            server.execute_command("REPLICAOF NO ONE")
        wait_until(lambda: len(sent) > before, "the next task")


@ON_SQLITE
def test_beat_stops_when_asked(workers: WorkerHarness):
    with workers.beat() as beat:
        wait_until(lambda: "beat_started" in beat.text, "the start")
        assert beat.stop() == 0
        assert "beat_stopped" in beat.text
        assert workers.dispatcher.runtime.leases.remaining(LEASE, LEASE_SECONDS) == 0
