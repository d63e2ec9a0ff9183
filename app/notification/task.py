"""Tasks of notifications, which are written after the response."""

from __future__ import annotations

from datetime import timedelta

from app.notification.service import CONTINUED, PUBLISHED, NotificationService
from strongback.task import TaskContext, TaskGroup
from strongback.web import inject

group = TaskGroup("notification")
notifications = inject(NotificationService)


@group.consumer("announce", on=PUBLISHED)
def announce(_: TaskContext, *, article_id: int) -> None:
    """Notify the audience of a published article."""
    notifications.announce(article_id)


@group.consumer("continue", on=CONTINUED, queue="low")
def continue_announcing(_: TaskContext, *, article_id: int, after: str) -> None:
    """Notify the next part of a large audience."""
    notifications.announce(article_id, after)


@group.periodic("clean", every=timedelta(hours=1), time_limit=timedelta(minutes=5))
def clean(_: TaskContext) -> None:
    """Delete notifications that are older than `NOTIFICATION_DAYS`."""
    notifications.clean()
