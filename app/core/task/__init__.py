"""Work that is done after the answer: consumers of events, jobs, periodic tasks.

See `declaration` for how a slice declares them, and `app.core.outbox` for how they are caused.
"""

# Celery's own exception for a task whose time is over, without Celery, which takes long to import.
from billiard.exceptions import SoftTimeLimitExceeded

from app.core.task.declaration import Declaration, InvalidDeclaration, TaskGroup, TaskRegistry
from app.core.task.job import Jobs, JobState, TaskCancelled, TaskRecord
from app.core.task.lease import Leases
from app.core.task.run import Refused, Run
from app.core.task.runner import Runner

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
]
