"""Jobs: long work that its owner may watch or cancel.

Its errors:

    NotFound
    └── TaskNotFound              404 10040
    Conflict
    └── TaskFinished              409 10041
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, String, delete, update
from sqlalchemy.orm import Mapped, mapped_column

from strongback.database import (
    Base,
    Database,
    Identifier,
    changed_rows,
    delete_in_batches,
    transactional,
    utc_now,
)
from strongback.exceptions import Conflict, NotFound, StrongbackError
from strongback.outbox import MessageState, Outbox, OutboxMessage
from strongback.outbox.model import CONSUMER_LENGTH

KEPT = timedelta(days=7)
"""Time for which a finished job can be read."""
MESSAGE_LENGTH = 200


class JobState(StrEnum):
    """State of a job."""

    QUEUED = "queued"
    RUNNING = "running"
    RETRYING = "retrying"
    """An attempt has failed; the next one waits."""
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


UNFINISHED = (JobState.QUEUED, JobState.RUNNING, JobState.RETRYING)


class TaskCancelled(StrongbackError):
    """Raised in a job by `TaskContext.progress` once it is cancelled."""


class TaskNotFound(NotFound):
    """There is no such task, it belongs to another account, or it ended more than a week ago."""

    error_code = 10040
    message = "There is no such task."


class TaskFinished(Conflict):
    """A task that has ended cannot be cancelled."""

    error_code = 10041
    message = "The task has ended and cannot be cancelled any more."


class TaskRecord(Base):
    """A job, as its owner sees it."""

    __tablename__ = "sb_task"

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    name: Mapped[str] = mapped_column(String(CONSUMER_LENGTH))
    owner: Mapped[int] = mapped_column(Identifier, index=True)
    """Id of the account that started it."""
    state: Mapped[str] = mapped_column(String(16), default=JobState.QUEUED.value)
    done: Mapped[int] = mapped_column(default=0)
    total: Mapped[int | None]
    message: Mapped[str] = mapped_column(String(MESSAGE_LENGTH), default="")
    result: Mapped[Any | None] = mapped_column(JSON(none_as_null=True), nullable=True)
    error: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None] = mapped_column(index=True)


class Jobs:
    """Starts, watches and cancels jobs."""

    def __init__(self, database: Database, outbox: Outbox) -> None:
        self.database = database
        self._outbox = outbox
        self.on_change: list[Callable[[TaskRecord], object]] = []
        """Functions that are called with a job after each change, in its transaction."""

    @transactional
    def start(self, name: str, payload: dict[str, Any], owner: int) -> TaskRecord:
        """Start a job after the commit.

        Args:
            name: Name of the job, such as `article:import`.
            payload: Keyword arguments: ids and names, at most 16 KiB of JSON.
            owner: Id of the account that may watch and cancel it.
        """
        record = TaskRecord(id=str(uuid.uuid4()), name=name, owner=owner)
        self.database.session.add(record)
        self.database.session.flush()
        self._outbox.emit(name, payload, job_id=record.id)
        return record

    def get(self, job_id: str, owner: int | None = None) -> TaskRecord:
        """Return the record of a job.

        Args:
            job_id: Id of the job.
            owner: Id of the account that asks; None for one that may see every job.

        Raises:
            TaskNotFound: There is no such job that this account may see.
        """
        record = self.database.session.get(TaskRecord, job_id)
        if record is None or owner not in (None, record.owner):
            raise TaskNotFound
        return record

    @transactional
    def cancel(self, job_id: str, owner: int | None = None) -> TaskRecord:
        """Cancel a job, before it begins or at its next progress report.

        Raises:
            TaskNotFound: There is no such job that this account may see.
            TaskFinished: It has ended already.
        """
        record = self.get(job_id, owner)
        if not self._move(job_id, UNFINISHED, state=JobState.CANCELLED, finished_at=utc_now()):
            if record.state != JobState.CANCELLED:
                raise TaskFinished
            return record
        pending = OutboxMessage.state != MessageState.RUNNING
        query = delete(OutboxMessage).where(OutboxMessage.job_id == job_id, pending)
        self.database.session.execute(query)
        self.database.session.refresh(record)
        return record

    # For the runner

    @transactional
    def report(self, job_id: str, done: int, total: int | None, message: str) -> None:
        """Write the progress of a job.

        Raises:
            TaskCancelled: The job was cancelled.
        """
        values = {"done": done, "total": total, "message": message[:MESSAGE_LENGTH]}
        if not self._move(job_id, (JobState.RUNNING,), **values):
            raise TaskCancelled(f"task {job_id} was cancelled")

    @transactional
    def begin(self, job_id: str) -> bool:
        """Note that an attempt begins; False if the job has ended."""
        values = {"state": JobState.RUNNING, "started_at": utc_now(), "finished_at": None}
        # A failed job begins again when its dead message is replayed.
        return self._move(job_id, (*UNFINISHED, JobState.FAILED), **values)

    @transactional
    def end(
        self, job_id: str, state: JobState, *, result: object = None, error: object = None
    ) -> None:
        """Note how an attempt ended; a job that was cancelled meanwhile stays cancelled."""
        finished_at = None if state is JobState.RETRYING else utc_now()
        values = {"state": state, "result": result, "error": error, "finished_at": finished_at}
        self._move(job_id, UNFINISHED, **values)

    def _move(self, job_id: str, states: tuple[JobState, ...], **values: object) -> bool:
        query = update(TaskRecord).where(TaskRecord.id == job_id, TaskRecord.state.in_(states))
        is_moved = changed_rows(self.database.session, query.values(values)) > 0
        if is_moved and self.on_change:
            record = self.database.session.get_one(TaskRecord, job_id, populate_existing=True)
            for tell in self.on_change:
                tell(record)
        return is_moved

    def clean(self) -> int:
        """Delete the records of jobs that ended more than `KEPT` ago; returns how many."""
        old = TaskRecord.finished_at < utc_now() - KEPT
        return delete_in_batches(self.database, TaskRecord.id, old)
