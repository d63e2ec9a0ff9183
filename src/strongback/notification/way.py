"""The ways beside the inbox: each sends what its own message of the outbox names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import quote

from strongback.mail.service import MailService
from strongback.mail.unsubscribe import Subscription
from strongback.notification.delivery import Delivery
from strongback.notification.inbox import Inbox
from strongback.notification.kind import Kind
from strongback.notification.notification_model import Notification
from strongback.notification.sender import Notifications
from strongback.realtime.realtime import Realtime
from strongback.schema import utc
from strongback.sms.exceptions import SmsRefused, SmsTimeout
from strongback.sms.notice import SmsNotices
from strongback.task import PermanentFailure
from strongback.web.translation import DEFAULT_LOCALE, Translations

TEMPLATE = "notification"
"""Name of the mail templates."""


class RealtimeWay:
    """Tells connected clients of new and of read notifications, with the number of the unread."""

    def __init__(
        self, realtime: Realtime, delivery: Delivery, inbox: Inbox, translations: Translations
    ) -> None:
        self._realtime = realtime
        self._delivery = delivery
        self._inbox = inbox
        self._translations = translations

    def send(self, ids: Sequence[int]) -> None:
        """Publish new notifications to the personal channels, after the commit."""
        found = self._delivery.load(ids)
        unread = self._inbox.unread_of([row.recipient for _, row in found])
        for kind, row in found:
            shown = self._shown(kind, row)
            self._emit(
                row.recipient,
                {"type": "notification", "notification": shown, "unread": unread[row.recipient]},
            )

    def read(self, user_id: int, what: Mapping[str, object]) -> None:
        """Publish what an account has read, after the commit."""
        unread = self._inbox.unread(user_id)
        self._emit(user_id, {"type": "notification:read", **what, "unread": unread})

    def _emit(self, user_id: int, event: dict[str, object]) -> None:
        channel = self._realtime.personal(user_id)
        self._realtime.emit(channel, event, key=channel)

    def _shown(self, kind: Kind, row: Notification) -> dict[str, object]:
        say, locales = self._translations.translate, self._translations.locales
        return {
            "id": row.id,
            "kind": row.kind,
            "actor": row.actor,
            "subject": row.subject,
            "data": row.data,
            "texts": {locale: kind.say(row.values, locale, say) for locale in locales},
            "created_at": f"{utc(row.created_at):%Y-%m-%dT%H:%M:%S.%fZ}",
            "read_at": None,
        }


class MailWay:
    """Mails notifications to the proven addresses of people."""

    def __init__(
        self,
        mails: MailService,
        delivery: Delivery,
        notifications: Notifications,
        translations: Translations,
    ) -> None:
        self._mails = mails
        self._delivery = delivery
        self._notifications = notifications
        self._translate = translations.translate

    def send(self, ids: Sequence[int]) -> None:
        """Mail notifications, after the commit."""
        found = self._delivery.load(ids)
        contacts = self._notifications.contacts.contacts([row.recipient for _, row in found])
        for kind, row in found:
            contact = contacts.get(row.recipient)
            if contact is not None and contact.email is not None:
                self._emit(kind, row, contact.email, contact.locale)

    def _emit(self, kind: Kind, row: Notification, address: str, locale: str) -> None:
        values = row.values
        texts = {
            "subject": kind.say(values, locale, self._translate, kind.subject),
            "text": kind.say(values, locale, self._translate, kind.body),
        }
        path = kind.link.format_map({name: quote(str(each)) for name, each in values.items()})
        subscription = None if kind.is_security else Subscription(row.recipient, kind.name)
        self._mails.emit(TEMPLATE, address, locale, texts, path=path, subscription=subscription)


class SmsWay:
    """Sends notifications to the verified telephone numbers of people."""

    def __init__(
        self, notices: SmsNotices, delivery: Delivery, notifications: Notifications
    ) -> None:
        self._notices = notices
        self._delivery = delivery
        self._notifications = notifications

    def send(self, ids: Sequence[int], reference: str) -> None:
        """Send notifications now.

        Raises:
            PermanentFailure: The provider refuses it, or may have sent it: nobody gets it twice.
            SmsFailed: The provider may accept it later.
        """
        for kind, row in self._delivery.load(ids):
            contact = self._notifications.contacts.contacts([row.recipient]).get(row.recipient)
            if contact is None or contact.phone is None or not kind.sms_templates:
                continue
            templates, values = kind.sms_templates, row.values
            template = templates.get(contact.locale, templates[DEFAULT_LOCALE])
            params = [str(values.get(name, "")) for name in kind.sms_params]
            try:
                self._notices.send(contact.phone, template, params, reference)
            except (SmsRefused, SmsTimeout) as error:
                raise PermanentFailure(str(error)) from None
