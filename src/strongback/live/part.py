"""The part `live`: channels of jobs and of operation."""

from __future__ import annotations

from strongback.app import Strongback
from strongback.live.job import JobChannel
from strongback.live.operation import operation_tasks
from strongback.realtime.realtime import Realtime
from strongback.task import Jobs, TaskRegistry


def register(app: Strongback) -> None:
    """Publish the progress of jobs, and the state for operators.

    The channels are `task:{id}`, `operation:outbox` and `operation:services`. Needs the parts
    `task` and `realtime`.
    """
    realtime = app.services[Realtime]
    JobChannel(app.services[Jobs], realtime)
    app.services[TaskRegistry].add(operation_tasks(realtime, app.outbox, app.checks))
