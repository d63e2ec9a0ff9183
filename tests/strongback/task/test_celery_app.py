"""Tasks in a real worker on a real Redis: in child processes, and in threads."""

from __future__ import annotations

import json
import time

import pytest
from structlog.contextvars import bound_contextvars

from tests.support.worker import World, wait_until


@pytest.fixture(autouse=True)
def _forget(served: World) -> None:
    served.forget()


def test_what_is_committed_is_done_and_what_is_rolled_back_is_not(served: World):
    def fail(_: object) -> None:
        served.outbox.emit("noted", {"number": 99})
        raise KeyError

    with pytest.raises(KeyError):
        served.database.transact(fail)
    for number in range(5):
        served.emit("noted", number=number)
    served.finish()
    assert served.numbers() == [0, 1, 2, 3, 4]


def test_a_task_that_follows_another_is_sent_by_the_worker(served: World):
    """Nobody else runs: what a task emits does not wait for a web server."""
    served.emit("chained", number=7, sent=time.time())
    served.finish()
    assert [(row.name, row.number) for row in served.effects()] == [("chain", 7), ("note", 7)]


def test_a_task_logs_with_the_id_of_its_request(served: World):
    with bound_contextvars(request_id="req-1"):
        served.emit("noted", number=1)
    served.finish()
    assert [row.request_id for row in served.effects()] == ["req-1"]
    celery = served.celery
    assert celery is not None
    wait_until(lambda: "req-1" in celery.text, "what is logged after the commit")
    events = [json.loads(line) for line in celery.text.splitlines() if "req-1" in line]
    assert [event["task"] for event in events] == ["test:note"]


def test_the_next_task_knows_nothing_of_the_one_before(served: World):
    with bound_contextvars(request_id="req-2"):
        served.emit("noted", number=1)
    served.finish()
    served.emit("noted", number=2)
    served.finish()
    assert [row.request_id for row in served.effects()] == ["req-2", None]


def test_a_task_that_takes_too_long_is_stopped_and_tried_again(served: World):
    served.emit("spun")
    served.wait_until_given_up()
    (message,) = served.messages()
    assert "SoftTimeLimitExceeded" in message.error
    assert len(served.effects("spin")) == 2


def test_a_worker_is_quiet_about_itself(served: World):
    """It neither greets other workers nor tells them of each task."""
    assert served.celery is not None
    assert "mingle" not in served.celery.text
    assert "received" not in served.celery.text
