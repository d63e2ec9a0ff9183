"""Tasks of notifications: a consumer for each way, and the deletion of old ones."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from strongback.notification.delivery import Delivery
from strongback.notification.inbox import Inbox
from strongback.notification.sender import SENT
from strongback.task import TaskContext, TaskGroup


def notification_tasks(delivery: Delivery, inbox: Inbox) -> TaskGroup:
    """The task group `notification`."""
    group = TaskGroup("notification")

    @group.consumer("inbox", on=SENT)
    def store(
        _: TaskContext,
        *,
        kind: str,
        subject: str,
        to: list[int],
        data: dict[str, Any],
        actor: str | None,
    ) -> None:
        """Store a notification for up to 500 accounts, and start the other ways."""
        delivery.store(kind, subject, to, data, actor)

    @group.periodic("clean", every=timedelta(hours=1), time_limit=timedelta(minutes=5))
    def clean(_: TaskContext) -> None:
        """Delete notifications that are older than `NOTIFICATION_DAYS`."""
        inbox.clean()

    return group
