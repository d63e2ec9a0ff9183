"""Notifies the owner of a job when it has finished."""

from __future__ import annotations

from strongback.notification.kind import Kind
from strongback.notification.sender import Notifications
from strongback.task import Jobs, JobState, TaskRecord

FINISHED = Kind(
    "task:finished",
    about="A task that you have started finishes.",
    text="Your task {name} has finished.",
    variants={"state=failed": "Your task {name} has failed."},
)


def tell_of_jobs(jobs: Jobs, notifications: Notifications) -> None:
    """Notify the owners of jobs that succeed or fail."""

    def tell(record: TaskRecord) -> None:
        if record.state in (JobState.SUCCEEDED, JobState.FAILED):
            subject, data = f"task:{record.id}:{record.state}", {"name": record.name}
            values = data | {"id": record.id, "state": record.state}
            notifications.send(FINISHED, subject, to=[record.owner], data=values)

    notifications.declare(FINISHED)
    jobs.on_change.append(tell)
