from __future__ import annotations

import threading
from datetime import datetime, timedelta

import pytest
from sqlalchemy import update

from strongback.database import utc_now
from strongback.outbox import MessageState, OutboxMessage
from strongback.task import Run
from strongback.task.pulse import PATIENCE, Pulse
from tests.support.task import House
from tests.support.worker import wait_until

pytestmark = pytest.mark.speaks_sql

SOON = timedelta(seconds=1)


@pytest.fixture
def message(house: House) -> int:
    """The number of a message that is being worked on, and could be given away in a second."""

    @house.group.job("count")
    def count(task: Run) -> None:
        raise AssertionError

    house.open()
    house.jobs.start("test:count", {}, owner=1)
    values = {"state": MessageState.RUNNING, "available_at": utc_now() + SOON}
    query = update(OutboxMessage).values(values)
    house.database.transact(lambda session: session.execute(query))
    return house.messages()[0].id


def due(house: House) -> datetime:
    moment = house.messages()[0].available_at
    assert moment is not None
    return moment


def test_a_message_is_left_alone_while_its_work_goes_on(house: House, message: int) -> None:
    before = due(house)
    with Pulse(house.outbox, timedelta(milliseconds=20)).beating([message], utc_now() + PATIENCE):
        wait_until(lambda: due(house) > before + PATIENCE / 2, "a beat")
    wait_until(lambda: "task-pulse" not in {it.name for it in threading.enumerate()}, "the end")


def test_work_that_takes_too_long_counts_as_lost(house: House, message: int) -> None:
    end = utc_now() + 2 * SOON
    with Pulse(house.outbox, timedelta(milliseconds=20)).beating([message], end):
        wait_until(lambda: utc_now() > end, "the end of its time")
    assert due(house) <= end


def test_what_is_over_meanwhile_is_not_touched(house: House, message: int) -> None:
    query = update(OutboxMessage).values(state=MessageState.DEAD, available_at=None)
    house.database.transact(lambda session: session.execute(query))
    house.outbox.keep([message], utc_now() + PATIENCE)
    assert house.messages()[0].available_at is None


def test_a_job_whose_process_dies_is_begun_again_long_before_its_limit(house: House) -> None:
    class Killed(BaseException):
        pass

    attempts: list[int] = []

    @house.group.job("count", time_limit=timedelta(hours=1))
    def count(task: Run) -> None:
        attempts.append(task.attempt)
        raise Killed

    house.open()
    house.jobs.start("test:count", {}, owner=1)
    house.relay.deliver()
    with pytest.raises(Killed):
        house.runner.run(*house.published.pop())
    assert utc_now() < due(house) <= utc_now() + PATIENCE
    house.wait()  # for that long
    house.relay.deliver()
    with pytest.raises(Killed):
        house.runner.run(*house.published.pop())
    assert attempts == [1, 2]
