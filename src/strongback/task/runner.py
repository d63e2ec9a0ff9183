"""The runner: one attempt at a task, and the fate of its message.

A message is deleted in the transaction that notes its effect in the inbox. Until then it is
delivered again: after an error, after a crash, after a loss in the broker.
"""

from __future__ import annotations

import random
import threading
import time
import traceback
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.exc import SQLAlchemyError
from structlog.contextvars import bound_contextvars

from strongback.database import Database, changed_rows, insert_if_absent, transactional, utc_now
from strongback.exceptions import APIException, StrongbackError
from strongback.log.mask import mask_text
from strongback.log.setup import get_logger
from strongback.outbox import Batch, InboxEntry, MessageState, Outbox, OutboxMessage, Relay
from strongback.task.context import PermanentFailure, TaskContext
from strongback.task.declaration import Declaration, TaskRegistry
from strongback.task.job import Jobs, JobState, TaskCancelled

log = get_logger(__name__)

GRACE = timedelta(seconds=2)
"""Time after its time limit from which a silent task counts as lost."""
HEARTBEAT = timedelta(seconds=8)
PATIENCE = timedelta(seconds=30)
"""Time after the last heartbeat at which work counts as lost: three may fail."""
MAX_ERROR = 20_000
"""Characters of a traceback that are kept."""
WORKER_LOST = "The process that ran this task died, or its time ran out, at every attempt."


class WorkerLost(StrongbackError):
    """A task killed its process, or exceeded its time limit, at every attempt."""


class UnknownTask(StrongbackError):
    """This version of the application has no such task."""


class _Handled(StrongbackError):
    """Another delivery of the message was faster."""


class _Here:
    """Keeps messages for this process instead of sending them to a broker."""

    def __init__(self) -> None:
        self.batches: deque[Batch] = deque()

    def publish(self, batches: Sequence[Batch]) -> None:
        self.batches.extend(batches)


class Runner:
    """Runs tasks."""

    def __init__(self, registry: TaskRegistry, outbox: Outbox, jobs: Jobs) -> None:
        self._registry = registry
        self._outbox = outbox
        self._jobs = jobs
        self.database: Database = outbox.database

    def run(self, name: str, ids: Sequence[int], *, is_redelivered: bool = False) -> None:
        """Make an attempt at messages that the broker has delivered.

        An error of the task is dealt with: the message waits for its next attempt, or is dead.

        Args:
            name: The task.
            ids: Its messages: one, or up to a batch.
            is_redelivered: Whether the worker that had them before is known to be dead.

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
        """Run a periodic task; an error is logged, and the next turn makes up for it."""
        task = self._declared(name)
        with self.database.scope():
            started = time.perf_counter()
            try:
                task.function(TaskContext(name))
            except Exception:
                log.exception("task_failed", task=name)
            else:
                log.debug("task_done", task=name, duration_ms=_since(started))

    def run_due(self) -> list[str]:
        """Run in this thread, without broker or worker, what is due until nothing is.

        Returns:
            The names of the tasks, in the order of their runs.
        """
        here, names = _Here(), []
        relay = Relay(self._outbox, here)
        while relay.deliver():
            while here.batches:
                batch = here.batches.popleft()
                self.run(batch.consumer, batch.ids)
                names.append(batch.consumer)
        return names

    def _declared(self, name: str) -> Declaration:
        if (task := self._registry.get(name)) is None:
            raise UnknownTask(f"there is no task {name} in this version of the application")
        return task

    # Before

    @transactional
    def _begin(
        self, task: Declaration, ids: Sequence[int], *, is_redelivered: bool
    ) -> list[OutboxMessage]:
        """Count the attempt before it begins, so that a task that kills its process ends too.

        The messages are no longer the session's: they stay as they are at this moment.
        """
        session = self.database.session
        query = select(OutboxMessage).where(
            OutboxMessage.id.in_(ids), OutboxMessage.consumer == task.name
        )
        found = session.scalars(query.order_by(OutboxMessage.id).with_for_update()).all()
        taken = [each for each in found if self._take(task, each, is_redelivered=is_redelivered)]
        session.flush()
        for message in taken:
            session.expunge(message)
        return taken

    def _take(self, task: Declaration, message: OutboxMessage, *, is_redelivered: bool) -> bool:
        is_lost = message.state == MessageState.RUNNING and is_redelivered
        if message.state != MessageState.SENT and not is_lost:
            return False  # delivered twice: it runs, waits, or is dead
        if message.attempts >= task.max_attempts:
            self._give_up(message, WorkerLost(WORKER_LOST))
            return False
        if message.job_id is not None and not self._jobs.begin(message.job_id):
            self.database.session.delete(message)
            return False
        message.state = MessageState.RUNNING
        message.attempts += 1
        message.sendings = 0
        message.available_at = utc_now() + _silence(task)
        return True

    # The attempt

    def _attempt(self, task: Declaration, deliveries: list[OutboxMessage]) -> None:
        first, started = deliveries[0], time.perf_counter()
        with bound_contextvars(request_id=first.request_id, task=task.name):
            try:
                self._perform(task, deliveries)
            except _Handled:
                log.info("task_already_done", message_id=first.id)
            except Exception as error:  # noqa: BLE001  whatever a task raises: the message is kept
                self._fail(task, deliveries, error)
            else:
                log.info(
                    "task_done",
                    message_id=first.id,
                    messages=len(deliveries),
                    attempt=first.attempts,
                    duration_ms=_since(started),
                )

    def _perform(self, task: Declaration, deliveries: list[OutboxMessage]) -> None:
        first = deliveries[0]
        context = TaskContext(task.name, first.attempts, request_id=first.request_id)
        if task.batch is not None:
            work = partial(task.function, context, [each.payload for each in deliveries])
        else:
            context.message_id, context.job_id, context.jobs = first.id, first.job_id, self._jobs
            work = partial(task.function, context, **first.payload)
        if task.transactional:
            # The inbox first: another delivery waits for the end of this one, and does nothing.
            self.database.transact(lambda _: (self._settle(task, deliveries), work()))
            return
        end, result = utc_now() + task.time_limit + GRACE, None
        with heartbeat(self._outbox, [each.id for each in deliveries], end):
            with suppress(TaskCancelled):  # its record says so already
                result = work()
            self._settle(task, deliveries, result)

    # After

    @transactional
    def _settle(
        self, task: Declaration, deliveries: Sequence[OutboxMessage], result: object = None
    ) -> None:
        session, ids = self.database.session, [each.id for each in deliveries]
        entries = [{"message_id": each, "consumer": task.name} for each in ids]
        if changed_rows(session, insert_if_absent(InboxEntry).values(entries)) < len(ids):
            raise _Handled
        query = delete(OutboxMessage).where(OutboxMessage.id.in_(ids))
        session.execute(query, execution_options={"synchronize_session": False})
        if (job_id := deliveries[0].job_id) is not None:
            self._jobs.end(job_id, JobState.SUCCEEDED, result=result)

    @transactional
    def _fail(
        self, task: Declaration, deliveries: Sequence[OutboxMessage], error: Exception
    ) -> None:
        ids = [each.id for each in deliveries]
        query = select(OutboxMessage).where(OutboxMessage.id.in_(ids)).with_for_update()
        for message in self.database.session.scalars(query):
            if isinstance(error, PermanentFailure) or message.attempts >= task.max_attempts:
                self._give_up(message, error)
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

    def _give_up(self, message: OutboxMessage, error: Exception) -> None:
        message.state, message.available_at = MessageState.DEAD, None
        # Of a task that killed its process, an earlier attempt may have left a traceback.
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


@contextmanager
def heartbeat(
    outbox: Outbox, ids: Collection[int], end: datetime, interval: timedelta = HEARTBEAT
) -> Iterator[None]:
    """Reserve messages during work that no transaction holds, which counts as lost from `end` on.

    An import may take ten minutes. Without heartbeats its message would wait for as long when its
    worker is killed at the beginning.
    """
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(interval.total_seconds()) and utc_now() < end:
            try:
                outbox.keep(ids, min(utc_now() + PATIENCE, end))
            except SQLAlchemyError as error:
                log.warning("task_heartbeat_missed", error=type(error).__name__)

    threading.Thread(target=beat, name="task-heartbeat", daemon=True).start()
    try:
        yield
    finally:
        ended.set()  # a late heartbeat changes nothing: the state of the message is checked


def _silence(task: Declaration) -> timedelta:
    """Time after which a silent attempt counts as lost."""
    longest = task.time_limit + GRACE
    return longest if task.transactional else min(longest, PATIENCE)


def _trace(error: Exception) -> str:
    return mask_text("".join(traceback.format_exception(error)), MAX_ERROR)


def _wait_after(attempts: int, task: Declaration) -> timedelta:
    longest = min(task.backoff * 2 ** min(attempts - 1, 20), task.max_backoff).total_seconds()
    # Half of it is random: what failed together must not come back together.
    return timedelta(seconds=random.uniform(longest / 2, longest))  # noqa: S311  not a secret


def _public(error: Exception) -> dict[str, Any]:
    """Return what the owner of a job sees of an error: unexpected ones may tell too much."""
    if isinstance(error, APIException | PermanentFailure | WorkerLost):
        return {"type": type(error).__name__, "message": str(error)}
    return {"type": type(error).__name__, "message": "The task failed unexpectedly."}


def _since(started: float) -> float:
    return round((time.perf_counter() - started) * 1000, 1)
