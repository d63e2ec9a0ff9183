"""Tasks of notifications: a consumer for each way, and the deletion of old ones."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from strongback.notification.delivery import TOPICS, Delivery
from strongback.notification.inbox import Inbox
from strongback.notification.kind import Way
from strongback.notification.sender import SENT
from strongback.notification.way import MailWay, RealtimeWay, SmsWay
from strongback.task import TaskContext, TaskGroup


def notification_tasks(delivery: Delivery, inbox: Inbox) -> TaskGroup:
    """The task group `notification`, without the further ways."""
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


def add_realtime(group: TaskGroup, way: RealtimeWay) -> None:
    """Add the consumer of the way `realtime`."""

    @group.consumer("realtime", on=TOPICS[Way.REALTIME], queue="high")
    def publish(_: TaskContext, *, ids: list[int]) -> None:
        """Publish new notifications to the personal channels."""
        way.send(ids)


def add_mail(group: TaskGroup, way: MailWay) -> None:
    """Add the consumer of the way `mail`."""

    @group.consumer("mail", on=TOPICS[Way.MAIL], queue="email")
    def mail(_: TaskContext, *, ids: list[int]) -> None:
        """Write the mail of new notifications."""
        way.send(ids)


def add_sms(group: TaskGroup, way: SmsWay) -> None:
    """Add the consumer of the way `sms`."""

    @group.consumer(
        "sms",
        on=TOPICS[Way.SMS],
        queue="sms",
        transactional=False,
        time_limit=timedelta(seconds=30),
    )
    def text(task: TaskContext, *, ids: list[int]) -> None:
        """Send a notification by text message; retried only if that cannot send it twice."""
        way.send(ids, task.request_id or "")
