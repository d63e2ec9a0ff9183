"""Work that is done after the answer: consumers of events, jobs, periodic tasks.

See `declaration` for how a slice declares them, and `strongback.outbox` for how they are caused.
"""

from strongback.task.deadline import SoftTimeLimitExceeded
from strongback.task.declaration import Declaration, InvalidDeclaration, TaskGroup, TaskRegistry
from strongback.task.job import Jobs, JobState, TaskCancelled, TaskRecord
from strongback.task.lease import Leases
from strongback.task.part import register
from strongback.task.run import Refused, Run
from strongback.task.runner import Runner

__all__ = [
    "Declaration",
    "InvalidDeclaration",
    "JobState",
    "Jobs",
    "Leases",
    "Refused",
    "Run",
    "Runner",
    "SoftTimeLimitExceeded",
    "TaskCancelled",
    "TaskGroup",
    "TaskRecord",
    "TaskRegistry",
    "register",
]
