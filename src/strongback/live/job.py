"""The channel of each job, `task:{id}`: its state with every step, for whoever may read it."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from strongback.auth.principal import Principal
from strongback.realtime.channel import Channels, Grant, History
from strongback.realtime.exceptions import InvalidPublication
from strongback.realtime.realtime import Realtime, encode
from strongback.task import Jobs, JobState, TaskPermission, TaskRecord
from strongback.task.job import TaskNotFound
from strongback.task.view import job_out
from strongback.web.translation import DEFAULT_LOCALE

INTERVAL = 0.2
"""Seconds between two publications of progress."""
HISTORY = History(1, timedelta(minutes=5))


class JobChannel:
    """Publishes what `GET /tasks/{id}` responds, after each change of a job is committed.

    Progress is published five times a second at most, each change of state at once.
    """

    def __init__(
        self, jobs: Jobs, realtime: Realtime, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._jobs = jobs
        self._realtime = realtime
        self._clock = clock
        self._told: dict[str, tuple[str, float]] = {}
        """State and time of the last publication of each job that runs in this process."""
        self._channels = realtime.add(Channels("task", history=HISTORY))
        self._channels.authorize(self._authorize)
        jobs.on_change.append(self._publish)

    def _authorize(self, principal: Principal, job_id: str) -> Grant | None:
        owner = None if principal.may(TaskPermission.MANAGE) else principal.user_id
        if not principal.may(TaskPermission.READ):
            return None
        try:
            return Grant(data=_shown(self._jobs.get(job_id, owner)))
        except TaskNotFound:
            return None

    def _publish(self, record: TaskRecord) -> None:
        state, at = self._told.get(record.id, ("", 0.0))
        if record.state == state and self._clock() - at < INTERVAL:
            return
        self._told[record.id] = (record.state, self._clock())
        if record.state != JobState.RUNNING:
            del self._told[record.id]
        channel, data = self._channels.channel(record.id), _shown(record)
        self._jobs.database.after_commit(lambda: self._realtime.publish(channel, data))


def _shown(record: TaskRecord) -> dict[str, Any]:
    """A job as its owner sees it; a result that is too large for a publication is left out."""
    shown: dict[str, Any] = job_out(record, DEFAULT_LOCALE).model_dump(mode="json")
    try:
        encode(shown)
    except InvalidPublication:
        shown["result"] = None
    return shown
