"""The short form of `make chaos task`: nothing is lost, and nothing happens twice."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from strongback.testing.redis import RedisServer
from tests.strongback.task.conftest import VISIBILITY
from tests.support import chaos
from tests.support.chaos import Finding
from tests.support.process import long_only
from tests.support.worker import WorkerHarness

pytestmark = pytest.mark.speaks_sql

ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
# Several processes that write at once are harder on MariaDB than on SQLite, where they take turns.
ON_MARIADB = pytest.mark.parametrize(
    "database_url", ["mariadb_server", *long_only("sqlite")], indirect=True
)
CATCH_UP = 30
"""Seconds in which everything is done once the broker is back, on a busy machine too."""
REDELIVERY = VISIBILITY + 40
"""Seconds, with another worker's start; by Celery's own defaults it is well over a minute."""


def assert_each_happened_once(finding: Finding) -> None:
    assert finding.written > 0
    assert (finding.lost, finding.repeated, finding.ghosts) == (0, 0, 0)


@ON_MARIADB
def test_a_worker_killed_in_the_middle_of_its_task(either: WorkerHarness):
    either.start()
    finding = chaos.kill_workers(either, rounds=1)
    assert_each_happened_once(finding)
    assert max(finding.redeliveries) < REDELIVERY


@ON_SQLITE
def test_workers_stopped_under_load(either: WorkerHarness, is_long: bool):
    either.start()
    assert_each_happened_once(chaos.stop_workers(either, rounds=2 if is_long else 1))


@ON_MARIADB
def test_web_processes_killed_between_commit_and_dispatch(workers: WorkerHarness):
    assert_each_happened_once(chaos.kill_writers(workers, rounds=6))


@ON_SQLITE
@pytest.mark.parametrize("how", ["stopped", "frozen"])
def test_a_broker_that_is_away_under_writes(workers: WorkerHarness, redis_server: RedisServer, how):
    @contextmanager
    def stopped() -> Iterator[None]:
        redis_server.kill()
        yield
        redis_server.start()

    workers.start()
    time.sleep(0.5)
    away = stopped if how == "stopped" else redis_server.frozen
    outage = chaos.lose_broker(workers, away, seconds=2, pause=0.5)
    assert outage.failed == 0
    assert_each_happened_once(outage.finding)
    assert outage.drained < CATCH_UP
