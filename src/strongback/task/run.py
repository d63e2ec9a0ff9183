"""What a task knows of its own run."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from strongback.exceptions import StrongbackError
from strongback.task.job import Jobs

REPORT_INTERVAL = 0.5
"""Seconds between two reports that are written: a job of thousands of steps writes a few."""


class Refused(StrongbackError):
    """Raised by a task: trying again would not help. The message is given up at once."""


@dataclass(slots=True)
class Run:
    """One attempt at a task; its first argument."""

    name: str
    """The task, such as `article:import`."""
    attempt: int = 1
    """The how manieth it is."""
    message_id: int | None = None
    """The message that it is about, the same at each attempt; None for a batch and the clock."""
    request_id: str | None = None
    """The request that caused it."""
    job_id: str | None = None
    """The record of whoever watches."""
    jobs: Jobs | None = None
    _reported: float = field(default=float("-inf"))

    def progress(self, done: int, total: int | None = None, message: str = "") -> None:
        """Say how far this is, for whoever watches; costs nothing where nobody does.

        Call it outside of a transaction and as often as is convenient: twice a second is written,
        and the last one of all.

        Args:
            done: Steps that are done.
            total: Steps in all, if that is known.
            message: What is being done, at most 200 characters.

        Raises:
            TaskCancelled: Somebody has cancelled it; let it pass.
        """
        if self.jobs is None or self.job_id is None:
            return
        now = time.monotonic()
        if now - self._reported >= REPORT_INTERVAL or done == total:
            self._reported = now
            self.jobs.report(self.job_id, done, total, message)
