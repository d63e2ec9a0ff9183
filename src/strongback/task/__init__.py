"""Work outside of requests: consumers of events, jobs, periodic tasks.

See `declaration` for how a slice declares them, and `strongback.outbox` for how they are caused.
"""

from strongback.task.context import PermanentFailure, TaskContext
from strongback.task.deadline import SoftTimeLimitExceeded
from strongback.task.declaration import Declaration, InvalidDeclaration, TaskGroup, TaskRegistry
from strongback.task.dispatcher import Dispatcher
from strongback.task.job import Jobs, JobState, TaskCancelled, TaskRecord
from strongback.task.lease import Leases
from strongback.task.part import register
from strongback.task.permission import TaskPermission
from strongback.task.runner import Runner
from strongback.task.runtime import TaskRuntime

__all__ = [
    "Declaration",
    "Dispatcher",
    "InvalidDeclaration",
    "JobState",
    "Jobs",
    "Leases",
    "PermanentFailure",
    "Runner",
    "SoftTimeLimitExceeded",
    "TaskCancelled",
    "TaskContext",
    "TaskGroup",
    "TaskPermission",
    "TaskRecord",
    "TaskRegistry",
    "TaskRuntime",
    "register",
]
