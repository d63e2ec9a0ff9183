"""Worker processes that die or are stopped, on a real Redis."""

from __future__ import annotations

import time

import pytest
import redis

from tests.support.process import long_only
from tests.support.worker import WorkerHarness, wait_until

ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@ON_SQLITE
def test_a_task_that_kills_its_process_is_given_up_after_its_tries(workers: WorkerHarness):
    with workers.worker():
        workers.emit("poisoned")
        workers.emit("noted", number=1)
        workers.start()
        workers.wait_until_given_up()
    (message,) = workers.messages()
    assert message.attempts == 3
    assert "died" in message.error
    assert len(workers.effects("poison")) == 3
    assert workers.numbers("note") == [1]


@pytest.mark.parametrize("served", ["prefork", *long_only("threads")], indirect=True)
@pytest.mark.parametrize(
    "refuse, accept",
    [
        # A fail-over: the master has become the replica of one that is not there.
        ("REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE"),
        ("CONFIG SET min-replicas-to-write 1", "CONFIG SET min-replicas-to-write 0"),
        ("CONFIG SET maxmemory 1", "CONFIG SET maxmemory 0"),
        ("ACL SETUSER default -@all +acl", "ACL SETUSER default +@all"),
    ],
    ids=["read-only", "without-replicas", "full", "without-rights"],
)
def test_a_worker_outlasts_a_broker_that_refuses_for_a_while(
    served: WorkerHarness, refuse: str, accept: str
):
    """Idle as well as with a task at its end, whose message it cannot acknowledge."""
    worker, broker = served.served_by, served.settings.celery_broker_url
    assert worker is not None
    assert broker is not None
    served.forget()
    with redis.Redis.from_url(broker) as server:
        served.emit("begun", number=1, seconds=1)
        wait_until(lambda: served.numbers("begin") == [1], "the task's beginning")
        server.execute_command(refuse)
        try:
            wait_until(lambda: served.numbers("end") == [1], "the task's end")
            served.emit("noted", number=2)
            time.sleep(4)
            assert worker.process.is_alive(), worker.text
        finally:
            server.execute_command(accept)
        wait_until(lambda: served.numbers("note") == [2], "the task that waited")
        assert "Unrecoverable" not in worker.text


@ON_SQLITE
def test_a_worker_outlasts_a_broker_that_is_lost_while_a_task_runs(workers: WorkerHarness):
    """First the connection of its subscription, then the one on which it waits while it closes."""
    assert workers.settings.celery_broker_url is not None
    workers.start()
    with (
        redis.Redis.from_url(workers.settings.celery_broker_url) as server,
        workers.worker(concurrency=2) as worker,
    ):
        workers.emit("begun", number=1, seconds=1)
        wait_until(lambda: workers.numbers("begin") == [1], "the task's beginning")
        server.config_set("maxclients", 1)  # nobody can connect anew
        try:
            server.client_kill_filter(_type="pubsub")
            time.sleep(0.02)  # until the worker closes: later than this it is lost as well
            server.client_kill_filter(_type="normal", skipme=True)
            wait_until(lambda: workers.numbers("end") == [1], "the task's end")
        finally:
            server.config_set("maxclients", 10_000)
        workers.emit("noted", number=2)
        wait_until(lambda: workers.numbers("note") == [2], "the next task")
        assert "Unrecoverable" not in worker.text
