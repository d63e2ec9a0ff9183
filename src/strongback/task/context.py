"""What a task knows of its attempt."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from strongback.exceptions import StrongbackError
from strongback.task.job import Jobs

REPORT_INTERVAL = 0.5
"""Seconds between two reports that are written: a job of thousands of steps writes a few."""


class PermanentFailure(StrongbackError):
    """Raised by a task when another attempt would not help: its message is dead at once."""


@dataclass(slots=True)
class TaskContext:
    """One attempt at a task; its first argument."""

    name: str
    """Name of the task, such as `article:import`."""
    attempt: int = 1
    """Attempt, starting at 1."""
    message_id: int | None = None
    """Message that it handles, the same at each attempt; None for a batch and a periodic task."""
    request_id: str | None = None
    """Request that caused it."""
    job_id: str | None = None
    """Job that it does."""
    jobs: Jobs | None = None
    _reported: float = field(default=float("-inf"))

    def progress(self, done: int, total: int | None = None, message: str = "") -> None:
        """Report the progress of a job; does nothing in other tasks.

        Call it outside of a transaction, as often as is convenient: two reports a second are
        written, and the last one.

        Args:
            done: Steps that are done.
            total: Steps in all, if known.
            message: Current step, at most 200 characters.

        Raises:
            TaskCancelled: The job was cancelled; do not catch it.
        """
        if self.jobs is None or self.job_id is None:
            return
        now = time.monotonic()
        if now - self._reported >= REPORT_INTERVAL or done == total:
            self._reported = now
            self.jobs.report(self.job_id, done, total, message)
