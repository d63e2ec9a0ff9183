from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from strongback.database import DatabaseMisuse
from strongback.exceptions import ValidationFailed
from strongback.outbox import InboxEntry, MessageState
from strongback.outbox.service import InvalidMessage
from strongback.task import JobState, PermanentFailure, TaskContext
from tests.support.task import TaskHarness

pytestmark = pytest.mark.speaks_sql


def emit(tasks: TaskHarness, topic: str = "thing:happened", **payload: Any) -> None:
    """Write a message in a transaction of its own."""
    tasks.database.transact(lambda _: tasks.outbox.emit(topic, payload))


class TestConsumer:
    def test_runs_with_the_payload_after_the_commit(self, tasks: TaskHarness) -> None:
        seen: list[int] = []

        @tasks.group.consumer("note", on="thing:happened")
        def note(task: TaskContext, *, number: int) -> None:
            seen.append(number)

        tasks.open()
        emit(tasks, number=7)
        assert seen == []
        tasks.work()
        assert seen == [7]
        assert tasks.messages() == []

    def test_of_a_transaction_that_is_undone_never_runs(self, tasks: TaskHarness) -> None:
        @tasks.group.consumer("note", on="thing:happened")
        def note(task: TaskContext) -> None:
            raise AssertionError

        tasks.open()

        def fail(_: object) -> None:
            tasks.outbox.emit("thing:happened", {})
            raise LookupError

        with pytest.raises(LookupError):
            tasks.database.transact(fail)
        assert tasks.work() == 0

    def test_is_not_run_again_by_a_second_delivery(self, tasks: TaskHarness) -> None:
        seen: list[int | None] = []

        @tasks.group.consumer("note", on="thing:happened")
        def note(task: TaskContext) -> None:
            seen.append(task.message_id)

        tasks.open()
        emit(tasks)
        tasks.relay.deliver()
        ((consumer, ids),) = tasks.published
        for _ in range(3):
            tasks.runner.run(consumer, ids, is_redelivered=True)
        assert seen == ids
        with tasks.database.scope():
            assert tasks.database.session.scalars(select(InboxEntry.message_id)).all() == ids

    def test_that_fails_waits_and_tries_again(self, tasks: TaskHarness) -> None:
        attempts: list[int] = []

        @tasks.group.consumer("note", on="thing:happened", max_attempts=3)
        def note(task: TaskContext) -> None:
            attempts.append(task.attempt)
            if task.attempt < 3:
                raise LookupError("not yet")

        tasks.open()
        emit(tasks)
        tasks.work()
        (message,) = tasks.messages()
        assert message.state == MessageState.WAITING
        assert message.error is not None
        assert "LookupError: not yet" in message.error
        for _ in range(2):
            tasks.wait()
            tasks.work()
        assert attempts == [1, 2, 3]
        assert tasks.messages() == []

    def test_that_always_fails_is_given_up_with_its_traceback_and_can_be_replayed(
        self, tasks: TaskHarness
    ) -> None:
        is_mended = False

        @tasks.group.consumer("note", on="thing:happened", max_attempts=2)
        def note(task: TaskContext) -> None:
            if not is_mended:
                raise LookupError("never")

        tasks.open()
        emit(tasks)
        for _ in range(4):
            tasks.work()
            tasks.wait()
        (message,) = tasks.messages()
        assert (message.state, message.attempts) == (MessageState.DEAD, 2)
        assert message.error is not None
        assert "in note" in message.error
        is_mended = True
        assert tasks.outbox.replay([message.id]) == [message.id]
        tasks.work()
        assert tasks.messages() == []

    def test_that_refuses_is_given_up_at_once(self, tasks: TaskHarness) -> None:
        @tasks.group.consumer("note", on="thing:happened")
        def note(task: TaskContext) -> None:
            raise PermanentFailure("the number does not exist")

        tasks.open()
        emit(tasks)
        tasks.work()
        assert [each.state for each in tasks.messages()] == [MessageState.DEAD]

    def test_that_kills_its_process_is_given_up_after_its_tries(self, tasks: TaskHarness) -> None:
        class Killed(BaseException):
            pass

        @tasks.group.consumer("note", on="thing:happened", max_attempts=2)
        def note(task: TaskContext) -> None:
            raise Killed

        tasks.open()
        emit(tasks)
        tasks.relay.deliver()
        consumer, ids = tasks.published.pop()
        for _ in range(2):
            with pytest.raises(Killed):
                tasks.runner.run(consumer, ids, is_redelivered=True)
        tasks.runner.run(consumer, ids, is_redelivered=True)
        (message,) = tasks.messages()
        assert message.state == MessageState.DEAD
        assert message.error is not None
        assert "died, or its time ran out, at every attempt" in message.error

    def test_undoes_its_half_when_it_fails(self, tasks: TaskHarness) -> None:
        @tasks.group.consumer("note", on="thing:happened", max_attempts=1)
        def note(task: TaskContext) -> None:
            tasks.outbox.emit("thing:noted", {})
            raise LookupError

        @tasks.group.consumer("other", on="thing:noted")
        def other(task: TaskContext) -> None:
            raise AssertionError

        tasks.open()
        emit(tasks)
        assert tasks.work() == 1
        assert len(tasks.messages()) == 1

    def test_gets_the_messages_of_a_key_one_after_the_other(self, tasks: TaskHarness) -> None:
        seen: list[int] = []

        @tasks.group.consumer("note", on="thing:happened")
        def note(task: TaskContext, *, number: int) -> None:
            if number == 1 and task.attempt == 1:
                raise LookupError
            seen.append(number)

        tasks.open()

        def write(_: object) -> None:
            for number, key in enumerate(["other", "same", "same", "same"]):
                tasks.outbox.emit("thing:happened", {"number": number}, key=key)

        tasks.database.transact(write)
        tasks.work()
        assert seen == [0]
        tasks.wait()
        tasks.work()
        assert seen == [0, 1, 2, 3]

    def test_takes_a_batch_and_after_a_failure_one_at_a_time(self, tasks: TaskHarness) -> None:
        seen: list[list[int]] = []

        @tasks.group.consumer("note", on="thing:happened", transactional=False, batch=10)
        def note(task: TaskContext, payloads: list[dict[str, int]]) -> None:
            numbers = [each["number"] for each in payloads]
            seen.append(numbers)
            if 1 in numbers:
                raise LookupError

        tasks.open()
        for number in range(3):
            emit(tasks, number=number)
        tasks.work()
        tasks.wait()
        tasks.work()
        assert seen == [[0, 1, 2], [0], [1], [2]]
        assert [each.payload["number"] for each in tasks.messages()] == [1]


class TestJob:
    def test_reports_progress_and_result(self, tasks: TaskHarness) -> None:
        states: list[tuple[str, int, int | None, str]] = []

        @tasks.group.job("count")
        def count(task: TaskContext, *, to: int) -> dict[str, int]:
            for number in range(to):
                task.progress(number + 1, to, f"number {number}")
            record = tasks.jobs.get(job_id)
            tasks.database.session.refresh(record)
            states.append((record.state, record.done, record.total, record.message))
            return {"counted": to}

        tasks.open()
        with tasks.database.scope():
            job_id = tasks.jobs.start("test:count", {"to": 3}, owner=1).id
            assert tasks.jobs.get(job_id).state == JobState.QUEUED
        tasks.work()
        with tasks.database.scope():
            record = tasks.jobs.get(job_id)
            assert states == [(JobState.RUNNING, 3, 3, "number 2")]
            assert (record.state, record.result) == (JobState.SUCCEEDED, {"counted": 3})
            assert record.finished_at is not None

    def test_stops_where_it_reports_once_it_is_cancelled(self, tasks: TaskHarness) -> None:
        @tasks.group.job("count")
        def count(task: TaskContext) -> None:
            tasks.jobs.cancel(job_id)
            task.progress(1, 1)
            raise AssertionError

        tasks.open()
        with tasks.database.scope():
            job_id = tasks.jobs.start("test:count", {}, owner=1).id
        tasks.work()
        with tasks.database.scope():
            assert tasks.jobs.get(job_id).state == JobState.CANCELLED
        assert tasks.messages() == []

    def test_that_was_cancelled_before_it_began_never_runs(self, tasks: TaskHarness) -> None:
        @tasks.group.job("count")
        def count(task: TaskContext) -> None:
            raise AssertionError

        tasks.open()
        with tasks.database.scope():
            job_id = tasks.jobs.start("test:count", {}, owner=1).id
            tasks.jobs.cancel(job_id)
        assert tasks.work() == 0

    def test_that_was_given_up_is_done_after_a_replay(self, tasks: TaskHarness) -> None:
        is_mended = False

        @tasks.group.job("count", max_attempts=1)
        def count(task: TaskContext) -> str:
            if not is_mended:
                raise LookupError
            return "done"

        tasks.open()
        with tasks.database.scope():
            job_id = tasks.jobs.start("test:count", {}, owner=1).id
        tasks.work()
        with tasks.database.scope():
            assert tasks.jobs.get(job_id).state == JobState.FAILED
            is_mended = True
            tasks.outbox.replay_all()
        tasks.work()
        with tasks.database.scope():
            record = tasks.jobs.get(job_id)
            assert (record.state, record.result) == (JobState.SUCCEEDED, "done")
            assert record.error is None

    def test_that_fails_says_so_without_telling_too_much(self, tasks: TaskHarness) -> None:
        @tasks.group.job("count", max_attempts=1)
        def count(task: TaskContext, *, public: bool) -> None:
            raise (
                ValidationFailed("There is no article in it.") if public else LookupError("secret")
            )

        tasks.open()
        with tasks.database.scope():
            ids = [
                tasks.jobs.start("test:count", {"public": public}, owner=1).id
                for public in (True, False)
            ]
        tasks.work()
        with tasks.database.scope():
            errors = [tasks.jobs.get(each).error for each in ids]
            states = {tasks.jobs.get(each).state for each in ids}
        assert states == {JobState.FAILED}
        assert errors == [
            {"type": "ValidationFailed", "message": "There is no article in it."},
            {"type": "LookupError", "message": "The task failed unexpectedly."},
        ]


class TestOutbox:
    def test_refuses_to_write_outside_of_a_transaction(self, tasks: TaskHarness) -> None:
        tasks.open()
        with tasks.database.scope(), pytest.raises(DatabaseMisuse):
            tasks.outbox.emit("thing:happened", {})

    @pytest.mark.parametrize(
        "payload,text",
        [
            ({"a": object()}, "not JSON"),
            ({"a": "x" * 20_000}, "store the data"),
            ({"a": float("nan")}, "not JSON"),
        ],
    )
    def test_refuses_what_is_no_message(
        self, tasks: TaskHarness, payload: dict[str, Any], text: str
    ) -> None:
        with pytest.raises(InvalidMessage, match=text):
            tasks.database.transact(lambda _: tasks.outbox.emit("thing:happened", payload))

    def test_holds_a_message_back_until_it_is_due(self, tasks: TaskHarness) -> None:
        @tasks.group.consumer("note", on="thing:happened")
        def note(task: TaskContext) -> None: ...

        tasks.open()
        later = timedelta(hours=1)
        tasks.database.transact(lambda _: tasks.outbox.emit("thing:happened", {}, delay=later))
        assert tasks.work() == 0
        tasks.wait()
        assert tasks.work() == 1
