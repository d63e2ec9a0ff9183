from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from strongback.database import DatabaseMisuse
from strongback.exceptions import ValidationFailed
from strongback.outbox import InboxEntry, MessageState
from strongback.outbox.service import InvalidMessage
from strongback.task import JobState, Refused, Run
from tests.support.task import House

pytestmark = pytest.mark.speaks_sql


def emit(house: House, topic: str = "thing:happened", **payload: Any) -> None:
    """Write a message in a transaction of its own."""
    house.database.transact(lambda _: house.outbox.emit(topic, payload))


class TestConsumer:
    def test_runs_with_the_payload_after_the_commit(self, house: House) -> None:
        seen: list[int] = []

        @house.group.consumer("note", on="thing:happened")
        def note(task: Run, *, number: int) -> None:
            seen.append(number)

        house.open()
        emit(house, number=7)
        assert seen == []
        house.work()
        assert seen == [7]
        assert house.messages() == []

    def test_of_a_transaction_that_is_undone_never_runs(self, house: House) -> None:
        @house.group.consumer("note", on="thing:happened")
        def note(task: Run) -> None:
            raise AssertionError

        house.open()

        def fail(_: object) -> None:
            house.outbox.emit("thing:happened", {})
            raise LookupError

        with pytest.raises(LookupError):
            house.database.transact(fail)
        assert house.work() == 0

    def test_is_not_run_again_by_a_second_delivery(self, house: House) -> None:
        seen: list[int | None] = []

        @house.group.consumer("note", on="thing:happened")
        def note(task: Run) -> None:
            seen.append(task.message_id)

        house.open()
        emit(house)
        house.relay.deliver()
        ((consumer, ids),) = house.published
        for _ in range(3):
            house.runner.run(consumer, ids, is_redelivered=True)
        assert seen == ids
        with house.database.scope():
            assert house.database.session.scalars(select(InboxEntry.message_id)).all() == ids

    def test_that_fails_waits_and_tries_again(self, house: House) -> None:
        attempts: list[int] = []

        @house.group.consumer("note", on="thing:happened", tries=3)
        def note(task: Run) -> None:
            attempts.append(task.attempt)
            if task.attempt < 3:
                raise LookupError("not yet")

        house.open()
        emit(house)
        house.work()
        (message,) = house.messages()
        assert message.state == MessageState.WAITING
        assert message.error is not None
        assert "LookupError: not yet" in message.error
        for _ in range(2):
            house.wait()
            house.work()
        assert attempts == [1, 2, 3]
        assert house.messages() == []

    def test_that_always_fails_is_given_up_with_its_traceback_and_can_be_replayed(
        self, house: House
    ) -> None:
        is_mended = False

        @house.group.consumer("note", on="thing:happened", tries=2)
        def note(task: Run) -> None:
            if not is_mended:
                raise LookupError("never")

        house.open()
        emit(house)
        for _ in range(4):
            house.work()
            house.wait()
        (message,) = house.messages()
        assert (message.state, message.attempts) == (MessageState.DEAD, 2)
        assert message.error is not None
        assert "in note" in message.error
        is_mended = True
        assert house.outbox.replay([message.id]) == [message.id]
        house.work()
        assert house.messages() == []

    def test_that_refuses_is_given_up_at_once(self, house: House) -> None:
        @house.group.consumer("note", on="thing:happened")
        def note(task: Run) -> None:
            raise Refused("the number does not exist")

        house.open()
        emit(house)
        house.work()
        assert [each.state for each in house.messages()] == [MessageState.DEAD]

    def test_that_kills_its_process_is_given_up_after_its_tries(self, house: House) -> None:
        class Killed(BaseException):
            pass

        @house.group.consumer("note", on="thing:happened", tries=2)
        def note(task: Run) -> None:
            raise Killed

        house.open()
        emit(house)
        house.relay.deliver()
        consumer, ids = house.published.pop()
        for _ in range(2):
            with pytest.raises(Killed):
                house.runner.run(consumer, ids, is_redelivered=True)
        house.runner.run(consumer, ids, is_redelivered=True)
        (message,) = house.messages()
        assert message.state == MessageState.DEAD
        assert message.error is not None
        assert "died, or its time ran out, at every attempt" in message.error

    def test_undoes_its_half_when_it_fails(self, house: House) -> None:
        @house.group.consumer("note", on="thing:happened", tries=1)
        def note(task: Run) -> None:
            house.outbox.emit("thing:noted", {})
            raise LookupError

        @house.group.consumer("other", on="thing:noted")
        def other(task: Run) -> None:
            raise AssertionError

        house.open()
        emit(house)
        assert house.work() == 1
        assert len(house.messages()) == 1

    def test_gets_the_messages_of_a_key_one_after_the_other(self, house: House) -> None:
        seen: list[int] = []

        @house.group.consumer("note", on="thing:happened")
        def note(task: Run, *, number: int) -> None:
            if number == 1 and task.attempt == 1:
                raise LookupError
            seen.append(number)

        house.open()

        def write(_: object) -> None:
            for number, key in enumerate(["other", "same", "same", "same"]):
                house.outbox.emit("thing:happened", {"number": number}, key=key)

        house.database.transact(write)
        house.work()
        assert seen == [0]
        house.wait()
        house.work()
        assert seen == [0, 1, 2, 3]

    def test_takes_a_batch_and_after_a_failure_one_at_a_time(self, house: House) -> None:
        seen: list[list[int]] = []

        @house.group.consumer("note", on="thing:happened", outside=True, batch=10)
        def note(task: Run, payloads: list[dict[str, int]]) -> None:
            numbers = [each["number"] for each in payloads]
            seen.append(numbers)
            if 1 in numbers:
                raise LookupError

        house.open()
        for number in range(3):
            emit(house, number=number)
        house.work()
        house.wait()
        house.work()
        assert seen == [[0, 1, 2], [0], [1], [2]]
        assert [each.payload["number"] for each in house.messages()] == [1]


class TestJob:
    def test_reports_progress_and_result(self, house: House) -> None:
        states: list[tuple[str, int, int | None, str]] = []

        @house.group.job("count")
        def count(task: Run, *, to: int) -> dict[str, int]:
            for number in range(to):
                task.progress(number + 1, to, f"number {number}")
            record = house.jobs.get(job_id)
            house.database.session.refresh(record)
            states.append((record.state, record.done, record.total, record.message))
            return {"counted": to}

        house.open()
        with house.database.scope():
            job_id = house.jobs.start("test:count", {"to": 3}, owner=1).id
            assert house.jobs.get(job_id).state == JobState.QUEUED
        house.work()
        with house.database.scope():
            record = house.jobs.get(job_id)
            assert states == [(JobState.RUNNING, 3, 3, "number 2")]
            assert (record.state, record.result) == (JobState.SUCCEEDED, {"counted": 3})
            assert record.finished_at is not None

    def test_stops_where_it_reports_once_it_is_cancelled(self, house: House) -> None:
        @house.group.job("count")
        def count(task: Run) -> None:
            house.jobs.cancel(job_id)
            task.progress(1, 1)
            raise AssertionError

        house.open()
        with house.database.scope():
            job_id = house.jobs.start("test:count", {}, owner=1).id
        house.work()
        with house.database.scope():
            assert house.jobs.get(job_id).state == JobState.CANCELLED
        assert house.messages() == []

    def test_that_was_cancelled_before_it_began_never_runs(self, house: House) -> None:
        @house.group.job("count")
        def count(task: Run) -> None:
            raise AssertionError

        house.open()
        with house.database.scope():
            job_id = house.jobs.start("test:count", {}, owner=1).id
            house.jobs.cancel(job_id)
        assert house.work() == 0

    def test_that_was_given_up_is_done_after_a_replay(self, house: House) -> None:
        is_mended = False

        @house.group.job("count", tries=1)
        def count(task: Run) -> str:
            if not is_mended:
                raise LookupError
            return "done"

        house.open()
        with house.database.scope():
            job_id = house.jobs.start("test:count", {}, owner=1).id
        house.work()
        with house.database.scope():
            assert house.jobs.get(job_id).state == JobState.FAILED
            is_mended = True
            house.outbox.replay_all()
        house.work()
        with house.database.scope():
            record = house.jobs.get(job_id)
            assert (record.state, record.result) == (JobState.SUCCEEDED, "done")
            assert record.error is None

    def test_that_fails_says_so_without_telling_too_much(self, house: House) -> None:
        @house.group.job("count", tries=1)
        def count(task: Run, *, public: bool) -> None:
            raise (
                ValidationFailed("There is no article in it.") if public else LookupError("secret")
            )

        house.open()
        with house.database.scope():
            ids = [
                house.jobs.start("test:count", {"public": public}, owner=1).id
                for public in (True, False)
            ]
        house.work()
        with house.database.scope():
            errors = [house.jobs.get(each).error for each in ids]
            states = {house.jobs.get(each).state for each in ids}
        assert states == {JobState.FAILED}
        assert errors == [
            {"type": "ValidationFailed", "message": "There is no article in it."},
            {"type": "LookupError", "message": "The task failed unexpectedly."},
        ]


class TestOutbox:
    def test_refuses_to_write_outside_of_a_transaction(self, house: House) -> None:
        house.open()
        with house.database.scope(), pytest.raises(DatabaseMisuse):
            house.outbox.emit("thing:happened", {})

    @pytest.mark.parametrize(
        "payload,text",
        [
            ({"a": object()}, "not JSON"),
            ({"a": "x" * 20_000}, "store the data"),
            ({"a": float("nan")}, "not JSON"),
        ],
    )
    def test_refuses_what_is_no_message(
        self, house: House, payload: dict[str, Any], text: str
    ) -> None:
        with pytest.raises(InvalidMessage, match=text):
            house.database.transact(lambda _: house.outbox.emit("thing:happened", payload))

    def test_holds_a_message_back_until_it_is_due(self, house: House) -> None:
        @house.group.consumer("note", on="thing:happened")
        def note(task: Run) -> None: ...

        house.open()
        later = timedelta(hours=1)
        house.database.transact(lambda _: house.outbox.emit("thing:happened", {}, delay=later))
        assert house.work() == 0
        house.wait()
        assert house.work() == 1
