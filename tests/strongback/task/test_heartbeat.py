from __future__ import annotations

import threading
from datetime import datetime, timedelta

import pytest
from sqlalchemy import update

from strongback.database import utc_now
from strongback.outbox import MessageState, OutboxMessage
from strongback.task import TaskContext
from strongback.task.runner import PATIENCE, heartbeat
from tests.support.task import TaskHarness
from tests.support.worker import wait_until

pytestmark = pytest.mark.speaks_sql

OFTEN = timedelta(milliseconds=20)
SOON = timedelta(milliseconds=500)


@pytest.fixture
def message(tasks: TaskHarness) -> int:
    """The number of a message that is being worked on, and could be given away soon."""

    @tasks.group.job("count")
    def count(task: TaskContext) -> None:
        raise AssertionError

    tasks.open()
    tasks.jobs.start("test:count", {}, owner=1)
    values = {"state": MessageState.RUNNING, "available_at": utc_now() + SOON}
    query = update(OutboxMessage).values(values)
    tasks.database.transact(lambda session: session.execute(query))
    return tasks.messages()[0].id


def due(tasks: TaskHarness) -> datetime:
    moment = tasks.messages()[0].available_at
    assert moment is not None
    return moment


def test_a_message_is_left_alone_while_its_work_goes_on(tasks: TaskHarness, message: int) -> None:
    before = due(tasks)
    with heartbeat(tasks.outbox, [message], utc_now() + PATIENCE, OFTEN):
        wait_until(lambda: due(tasks) > before + PATIENCE / 2, "a beat")
    wait_until(lambda: "task-pulse" not in {it.name for it in threading.enumerate()}, "the end")


def test_work_that_takes_too_long_counts_as_lost(tasks: TaskHarness, message: int) -> None:
    end = utc_now() + 2 * SOON
    with heartbeat(tasks.outbox, [message], end, OFTEN):
        wait_until(lambda: utc_now() > end, "the end of its time")
    assert due(tasks) <= end


def test_what_is_over_meanwhile_is_not_touched(tasks: TaskHarness, message: int) -> None:
    query = update(OutboxMessage).values(state=MessageState.DEAD, available_at=None)
    tasks.database.transact(lambda session: session.execute(query))
    tasks.outbox.keep([message], utc_now() + PATIENCE)
    assert tasks.messages()[0].available_at is None


def test_a_job_whose_process_dies_is_begun_again_long_before_its_limit(tasks: TaskHarness) -> None:
    class Killed(BaseException):
        pass

    attempts: list[int] = []

    @tasks.group.job("count", time_limit=timedelta(hours=1))
    def count(task: TaskContext) -> None:
        attempts.append(task.attempt)
        raise Killed

    tasks.open()
    tasks.jobs.start("test:count", {}, owner=1)
    tasks.relay.deliver()
    with pytest.raises(Killed):
        tasks.runner.run(*tasks.published.pop())
    assert utc_now() < due(tasks) <= utc_now() + PATIENCE
    tasks.wait()  # for that long
    tasks.relay.deliver()
    with pytest.raises(Killed):
        tasks.runner.run(*tasks.published.pop())
    assert attempts == [1, 2]
