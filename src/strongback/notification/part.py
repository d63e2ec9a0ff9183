"""The part `notification`: what an application registers to notify people."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from strongback.app import Strongback
from strongback.mail.service import MailService
from strongback.mail.template import MailTemplates
from strongback.mail.unsubscribe import Unsubscriptions
from strongback.notification.delivery import TOPICS, Delivery
from strongback.notification.inbox import Inbox
from strongback.notification.kind import Kind, Kinds, Way
from strongback.notification.notification_task import (
    add_mail,
    add_realtime,
    add_sms,
    notification_tasks,
)
from strongback.notification.preference import Preferences
from strongback.notification.sender import SENT, Notifications
from strongback.notification.view import api
from strongback.realtime.realtime import Realtime
from strongback.sms.notice import SmsNotices
from strongback.task import Jobs, JobState, TaskRecord, TaskRegistry

TEMPLATES = Path(__file__).with_name("template")
FINISHED = Kind(
    "task:finished",
    about="A task that you have started finishes.",
    text="Your task {name} has finished.",
    variants={"state=failed": "Your task {name} has failed."},
)


def register(app: Strongback, url_prefix: str) -> Notifications:
    """Notify people, and serve `/notifications` below a prefix. Needs the part `task`.

    The ways `realtime`, `mail` and `sms` are open where these parts are registered. Slices that
    send notifications find this service, `app.services.find(Notifications)`, and declare their
    kinds; where this part is not registered, they send none.
    """
    services, outbox, kinds, texts = app.services, app.outbox, Kinds(), app.translations
    notifications, preferences = Notifications(outbox, kinds), Preferences(app.database, kinds)
    inbox = Inbox(app.database, timedelta(days=app.settings.notification_days))
    delivery = Delivery(app.database, outbox, kinds, preferences)

    def start() -> None:
        """Open the ways of all parts, and check what the slices have said."""
        group, ways = notification_tasks(delivery, inbox), [Way.INBOX]
        if realtime := services.find(Realtime):
            add_realtime(group, realtime, delivery, inbox, texts)
            ways.append(Way.REALTIME)
        if (mails := services.find(MailService)) and mails.is_sending:
            services[MailTemplates].add(TEMPLATES)
            add_mail(group, mails, delivery, notifications, texts)
            ways.append(Way.MAIL)
        if (notices := services.find(SmsNotices)) and notices.are_sent:
            add_sms(group, notices, delivery, notifications)
            ways.append(Way.SMS)
        preferences.ways = ways
        services[TaskRegistry].add(group)
        if unsubscriptions := services.find(Unsubscriptions):
            unsubscriptions.switch_off = preferences.switch_off_mail
        kinds.check(texts.locales, texts.translate)
        _ = notifications.contacts

    def tell_owner(record: TaskRecord) -> None:
        if record.state in (JobState.SUCCEEDED, JobState.FAILED):
            values = {"name": record.name, "id": record.id, "state": record.state}
            subject = f"task:{record.id}:{record.state}"
            notifications.send(FINISHED, subject, to=[record.owner], data=values)

    outbox.declare(__name__, SENT, *TOPICS.values())
    notifications.declare(FINISHED)
    services[Jobs].on_change.append(tell_owner)
    app.provide(notifications, kinds, preferences, inbox)
    app.before_start(start)
    app.register_api(api, url_prefix=f"{url_prefix}/notifications")
    return notifications
