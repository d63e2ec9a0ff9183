"""The runner: one attempt at a task, and what becomes of its message.

A message is deleted in the transaction that notes its effect in the inbox. Until then it is
delivered again: after an error, after a crash, after a loss in the broker.
"""

from __future__ import annotations

import random
import time
import traceback
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import delete, insert, select
from sqlalchemy.exc import IntegrityError
from structlog.contextvars import bound_contextvars

from strongback.database import Database, is_duplicate, transactional, utc_now
from strongback.exceptions import APIException, StrongbackError
from strongback.log.mask import mask_text
from strongback.log.setup import get_logger
from strongback.outbox import InboxEntry, MessageState, Outbox, OutboxMessage
from strongback.task.declaration import Declaration, TaskRegistry
from strongback.task.job import Jobs, JobState, TaskCancelled
from strongback.task.pulse import PATIENCE, Pulse
from strongback.task.run import Refused, Run

log = get_logger(__name__)

LONGEST_WAIT = timedelta(minutes=10)
"""Between two attempts."""
GRACE = timedelta(seconds=2)
"""Beyond its time limit, after which a task that was not heard of is taken for dead."""
MAX_ERROR = 20_000
"""Characters of a traceback that are kept."""
WORKER_LOST = "The process that ran this task died, or its time ran out, at every attempt."


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message as it was when the attempt began."""

    id: int
    payload: dict[str, Any]
    attempt: int
    request_id: str | None
    job_id: str | None
    key: str | None


class WorkerLost(StrongbackError):
    """A task has killed the process that ran it, or outlived its time, at every attempt."""


class UnknownTask(StrongbackError):
    """This version of the application has no such task."""


class _Handled(StrongbackError):
    """The message has had its effect; another delivery was faster."""


class Runner:
    """Runs tasks.

    Args:
        registry: What there is to run.
        outbox: Where the messages are.
        jobs: Where it is written how far somebody's work is.
    """

    def __init__(self, registry: TaskRegistry, outbox: Outbox, jobs: Jobs) -> None:
        self._registry = registry
        self._outbox = outbox
        self._jobs = jobs
        self._pulse = Pulse(outbox)
        self.database: Database = outbox.database

    def run(self, name: str, ids: Sequence[int], *, is_redelivered: bool = False) -> None:
        """Make an attempt at messages that the broker has delivered.

        An error of the task is dealt with: the message waits for its next attempt, or is dead.

        Args:
            name: The task.
            ids: Its messages: one, or up to a batch.
            is_redelivered: The broker says that whoever had them before is gone.

        Raises:
            UnknownTask: There is no such task here; the message is delivered again.
            SQLAlchemyError: The database failed; the message is delivered again.
        """
        task = self._declared(name)
        with self.database.scope():
            deliveries = self._begin(task, ids, is_redelivered=is_redelivered)
            if deliveries:
                self._attempt(task, deliveries)
        if any(each.key for each in deliveries):
            self._outbox.notify()  # what had to wait for these

    def run_periodic(self, name: str) -> None:
        """Do what the clock asks for; an error is logged, and the next turn makes it good."""
        task = self._declared(name)
        with self.database.scope():
            started = time.perf_counter()
            try:
                task.function(Run(name))
            except Exception:
                log.exception("task_failed", task=name)
            else:
                log.info("task_done", task=name, duration_ms=_since(started))

    def _declared(self, name: str) -> Declaration:
        if (task := self._registry.get(name)) is None:
            raise UnknownTask(f"there is no task {name} in this version of the application")
        return task

    # Before

    @transactional
    def _begin(
        self, task: Declaration, ids: Sequence[int], *, is_redelivered: bool
    ) -> list[Delivery]:
        """Count the attempt before it begins: a task that kills its process is to end as well."""
        query = select(OutboxMessage).where(
            OutboxMessage.id.in_(ids), OutboxMessage.consumer == task.name
        )
        found = self.database.session.scalars(query.order_by(OutboxMessage.id).with_for_update())
        taken = [each for each in found if self._take(task, each, is_redelivered=is_redelivered)]
        return [
            Delivery(each.id, each.payload, each.attempts, each.request_id, each.job_id, each.key)
            for each in taken
        ]

    def _take(self, task: Declaration, message: OutboxMessage, *, is_redelivered: bool) -> bool:
        is_lost = message.state == MessageState.RUNNING and is_redelivered
        if message.state != MessageState.SENT and not is_lost:
            return False  # a second delivery of what is at work, waits, or was given up
        if message.attempts >= task.tries:
            self._bury(message, WorkerLost(WORKER_LOST))
            return False
        if message.job_id is not None and not self._jobs.begin(message.job_id):
            self.database.session.delete(message)
            return False
        message.state = MessageState.RUNNING
        message.attempts += 1
        message.sendings = 0
        message.available_at = utc_now() + _unheard(task)
        return True

    # The attempt

    def _attempt(self, task: Declaration, deliveries: list[Delivery]) -> None:
        first, started = deliveries[0], time.perf_counter()
        with bound_contextvars(request_id=first.request_id, task=task.name):
            try:
                with self._kept(task, deliveries):
                    self._perform(task, deliveries)
            except _Handled:
                log.info("task_already_done", message_id=first.id)
            except Exception as error:  # noqa: BLE001  whatever it is, the message is kept
                self._fail(task, deliveries, error)
            else:
                log.info(
                    "task_done",
                    message_id=first.id,
                    messages=len(deliveries),
                    attempt=first.attempt,
                    duration_ms=_since(started),
                )

    def _kept(self, task: Declaration, deliveries: list[Delivery]) -> AbstractContextManager[None]:
        """Let nobody else have the messages while this works on them."""
        if not task.outside:
            return nullcontext()
        end = utc_now() + task.time_limit + GRACE
        return self._pulse.beating([each.id for each in deliveries], end)

    def _perform(self, task: Declaration, deliveries: list[Delivery]) -> None:
        first = deliveries[0]
        if task.batch is not None:
            run = Run(task.name, first.attempt, request_id=first.request_id)
            task.function(run, [each.payload for each in deliveries])
            self._settle(task, deliveries)
            return
        run = Run(task.name, first.attempt, first.id, first.request_id, first.job_id, self._jobs)
        if task.outside:
            self._perform_outside(task, first, run)
        else:
            self._perform_within(task, first, run)

    def _perform_outside(self, task: Declaration, delivery: Delivery, run: Run) -> None:
        try:
            result = task.function(run, **delivery.payload)
        except TaskCancelled:
            result = None  # its record says already that it was cancelled
        self._settle(task, [delivery], result)

    @transactional
    def _perform_within(self, task: Declaration, delivery: Delivery, run: Run) -> None:
        # The inbox first: another delivery waits for this one's end, and then does nothing.
        self._settle(task, [delivery])
        task.function(run, **delivery.payload)

    # After

    @transactional
    def _settle(
        self, task: Declaration, deliveries: Sequence[Delivery], result: object = None
    ) -> None:
        session, ids = self.database.session, [each.id for each in deliveries]
        entries = [{"message_id": each, "consumer": task.name} for each in ids]
        try:
            session.execute(insert(InboxEntry), entries)
        except IntegrityError as error:
            if is_duplicate(error):
                raise _Handled from None
            raise
        query = delete(OutboxMessage).where(OutboxMessage.id.in_(ids))
        session.execute(query, execution_options={"synchronize_session": False})
        if (job_id := deliveries[0].job_id) is not None:
            self._jobs.end(job_id, JobState.SUCCEEDED, result=result)

    @transactional
    def _fail(self, task: Declaration, deliveries: Sequence[Delivery], error: Exception) -> None:
        ids = [each.id for each in deliveries]
        query = select(OutboxMessage).where(OutboxMessage.id.in_(ids)).with_for_update()
        for message in self.database.session.scalars(query):
            if isinstance(error, Refused) or message.attempts >= task.tries:
                self._bury(message, error)
            else:
                self._postpone(task, message, error)

    def _postpone(self, task: Declaration, message: OutboxMessage, error: Exception) -> None:
        wait = _wait_after(message.attempts, task)
        message.state, message.error = MessageState.WAITING, _trace(error)
        message.available_at = utc_now() + wait
        if message.job_id is not None:
            self._jobs.end(message.job_id, JobState.RETRYING, error=_public(error))
        log.warning(
            "task_postponed",
            task=task.name,
            message_id=message.id,
            attempt=message.attempts,
            wait=round(wait.total_seconds(), 1),
            error=f"{type(error).__name__}: {error}",
        )

    def _bury(self, message: OutboxMessage, error: Exception) -> None:
        message.state, message.available_at = MessageState.DEAD, None
        # Of one that killed its process, an earlier attempt may have left something to read.
        message.error = "\n".join(filter(None, (_trace(error), message.error)))[:MAX_ERROR]
        if message.job_id is not None:
            self._jobs.end(message.job_id, JobState.FAILED, error=_public(error))
        log.error(
            "task_given_up",
            task=message.consumer,
            message_id=message.id,
            attempts=message.attempts,
            exc_info=error,
        )


def _unheard(task: Declaration) -> timedelta:
    """How long nothing may be heard of an attempt until its message is given away."""
    longest = task.time_limit + GRACE
    return min(longest, PATIENCE) if task.outside else longest


def _trace(error: Exception) -> str:
    return mask_text("".join(traceback.format_exception(error)), MAX_ERROR)


def _wait_after(attempts: int, task: Declaration) -> timedelta:
    longest = min(task.first_wait * 2 ** min(attempts - 1, 20), LONGEST_WAIT).total_seconds()
    # Half of it by chance: what failed together is not to come back together.
    return timedelta(seconds=random.uniform(longest / 2, longest))  # noqa: S311  not a secret


def _public(error: Exception) -> dict[str, Any]:
    """What the owner of a job may know of an error: an unexpected one's text may tell too much."""
    if isinstance(error, APIException | Refused | WorkerLost):
        return {"type": type(error).__name__, "message": str(error)}
    return {"type": type(error).__name__, "message": "The task failed unexpectedly."}


def _since(started: float) -> float:
    return round((time.perf_counter() - started) * 1000, 1)
