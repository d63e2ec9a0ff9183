"""Tasks of notifications: a consumer for each way, and the deletion of old ones."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import quote

from strongback.mail.service import MailService
from strongback.mail.unsubscribe import Subscription
from strongback.notification.delivery import TOPICS, Delivery
from strongback.notification.inbox import Inbox
from strongback.notification.kind import Way
from strongback.notification.sender import SENT, Notifications
from strongback.realtime.realtime import Realtime
from strongback.schema import utc
from strongback.sms.exceptions import SmsRefused, SmsTimeout
from strongback.sms.notice import SmsNotices
from strongback.task import PermanentFailure, TaskContext, TaskGroup
from strongback.web.translation import DEFAULT_LOCALE, Translations


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


def add_realtime(
    group: TaskGroup, realtime: Realtime, delivery: Delivery, inbox: Inbox, texts: Translations
) -> None:
    """Tell connected clients of new and of read notifications, with the number of the unread."""

    def emit(user_id: int, event: Mapping[str, object]) -> None:
        channel = realtime.personal(user_id)
        realtime.emit(channel, event, key=channel)

    def tell_of_read(user_id: int, what: Mapping[str, object]) -> None:
        emit(user_id, {"type": "notification:read", **what, "unread": inbox.unread(user_id)})

    @group.consumer("realtime", on=TOPICS[Way.REALTIME], queue="high")
    def publish(_: TaskContext, *, ids: list[int]) -> None:
        """Publish new notifications to the personal channels."""
        found = delivery.load(ids)
        unread = inbox.unread_of([row.recipient for _, row in found])
        for kind, row in found:
            shown = {
                "id": row.id,
                "kind": row.kind,
                "actor": row.actor,
                "subject": row.subject,
                "data": row.data,
                "texts": {
                    each: kind.say(row.values, each, texts.translate) for each in texts.locales
                },
                "created_at": f"{utc(row.created_at):%Y-%m-%dT%H:%M:%S.%fZ}",
                "read_at": None,
            }
            event = {"type": "notification", "notification": shown, "unread": unread[row.recipient]}
            emit(row.recipient, event)

    inbox.on_read = tell_of_read


def add_mail(
    group: TaskGroup,
    mails: MailService,
    delivery: Delivery,
    notifications: Notifications,
    texts: Translations,
) -> None:
    """Mail notifications to the proven addresses of people."""

    @group.consumer("mail", on=TOPICS[Way.MAIL], queue="email")
    def mail(_: TaskContext, *, ids: list[int]) -> None:
        """Write the mail of new notifications."""
        found, say = delivery.load(ids), texts.translate
        contacts = notifications.contacts.contacts([row.recipient for _, row in found])
        for kind, row in found:
            contact, values = contacts.get(row.recipient), row.values
            if contact is None or contact.email is None:
                continue
            data = {
                "subject": kind.say(values, contact.locale, say, kind.subject),
                "text": kind.say(values, contact.locale, say, kind.body),
            }
            path = kind.link.format_map({name: quote(str(each)) for name, each in values.items()})
            off = None if kind.is_security else Subscription(row.recipient, kind.name)
            mails.emit(
                "notification", contact.email, contact.locale, data, path=path, subscription=off
            )


def add_sms(
    group: TaskGroup, notices: SmsNotices, delivery: Delivery, notifications: Notifications
) -> None:
    """Send notifications to the verified telephone numbers of people."""

    @group.consumer(
        "sms",
        on=TOPICS[Way.SMS],
        queue="sms",
        transactional=False,
        time_limit=timedelta(seconds=30),
    )
    def text(task: TaskContext, *, ids: list[int]) -> None:
        """Send a notification by text message; retried only if that cannot send it twice."""
        for kind, row in delivery.load(ids):
            contact = notifications.contacts.contacts([row.recipient]).get(row.recipient)
            if contact is None or contact.phone is None or not kind.sms_templates:
                continue
            templates, values = kind.sms_templates, row.values
            template = templates.get(contact.locale, templates[DEFAULT_LOCALE])
            params = [str(values.get(name, "")) for name in kind.sms_params]
            try:
                notices.send(contact.phone, template, params, task.request_id or "")
            except (SmsRefused, SmsTimeout) as error:
                raise PermanentFailure(str(error)) from None
