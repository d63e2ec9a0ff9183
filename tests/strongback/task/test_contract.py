"""What every worker does: the embedded one, and Celery's in child processes and in threads."""

from __future__ import annotations

import json
import time
from contextlib import nullcontext

import pytest
from structlog.contextvars import bound_contextvars

from tests.support.worker import WorkerHarness, wait_until


@pytest.fixture(autouse=True)
def _forget(served: WorkerHarness) -> None:
    served.forget()


def test_what_is_committed_is_done_and_what_is_rolled_back_is_not(served: WorkerHarness):
    def fail(_: object) -> None:
        served.outbox.emit("noted", {"number": 99})
        raise KeyError

    with pytest.raises(KeyError):
        served.database.transact(fail)
    for number in range(5):
        served.emit("noted", number=number)
    served.finish()
    assert served.numbers("note") == [0, 1, 2, 3, 4]


def test_a_task_that_follows_another_is_sent_by_the_worker(served: WorkerHarness):
    """Nobody else runs: what a task emits does not wait for a web server."""
    served.emit("chained", number=7, sent=time.time())
    served.finish()
    effects = served.effects("chain", "note")
    assert [(row.name, row.number) for row in effects] == [("chain", 7), ("note", 7)]


def test_a_task_logs_with_the_id_of_its_request(served: WorkerHarness):
    with bound_contextvars(request_id="req-1"):
        served.emit("noted", number=1)
    served.finish()
    assert [row.request_id for row in served.effects("note")] == ["req-1"]
    worker = served.served_by
    assert worker is not None
    wait_until(lambda: "req-1" in worker.text, "what is logged after the commit")
    events = [json.loads(line) for line in worker.text.splitlines() if "req-1" in line]
    assert [event["task"] for event in events] == ["test:note"]


def test_the_next_task_knows_nothing_of_the_one_before(served: WorkerHarness):
    with bound_contextvars(request_id="req-2"):
        served.emit("noted", number=1)
    served.finish()
    served.emit("noted", number=2)
    served.finish()
    assert [row.request_id for row in served.effects("note")] == ["req-2", None]


def test_a_task_that_takes_too_long_is_stopped_and_tried_again(served: WorkerHarness):
    served.emit("spun")
    served.wait_until_given_up()
    (message,) = served.messages()
    assert "SoftTimeLimitExceeded" in message.error
    assert len(served.effects("spin")) == 2


def test_a_worker_is_quiet_about_itself(served: WorkerHarness):
    """It neither greets other workers nor tells them of each task."""
    assert served.served_by is not None
    assert "mingle" not in served.served_by.text
    assert "received" not in served.served_by.text


def test_a_batch_is_given_several_messages(served: WorkerHarness):
    def emit(_: object) -> None:
        for _number in range(9):
            served.outbox.emit("bundled", {"number": 1})

    served.database.transact(emit)
    served.finish()
    assert [row.number for row in served.effects("bundle")] == [3, 3, 3]


def test_periodic_tasks_are_done(served: WorkerHarness):
    with served.beat() if served.settings.celery_broker_url else nullcontext():
        wait_until(lambda: len(served.effects("tick")) >= 2, "two turns")
