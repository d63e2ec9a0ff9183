"""Workers that are stopped: the embedded one, and Celery's."""

from __future__ import annotations

import pytest

from tests.support.worker import WorkerHarness, wait_until

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def test_a_stopping_worker_finishes_its_task(either: WorkerHarness):
    either.start()
    with either.worker() as worker:
        either.emit("begun", number=1, seconds=1)
        wait_until(lambda: either.numbers("begin") == [1], "the task's beginning")
        assert worker.stop() == 0
        assert either.numbers("end") == [1]
        assert either.pending() == 0


def test_a_stopping_worker_waits_no_longer_than_it_may(either: WorkerHarness):
    """What is left begins again elsewhere."""
    either.start()
    with either.worker(TASK_STOP_TIMEOUT="0.2") as worker:
        either.emit("begun", number=1, seconds=1.4)
        wait_until(lambda: either.numbers("begin") == [1], "the task's beginning")
        worker.stop()
        assert either.numbers("end") == []
    with either.worker():
        wait_until(lambda: either.numbers("end") == [1], "the task's end")
