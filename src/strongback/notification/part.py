"""The part `notification`: what an application registers to notify people."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from strongback.app import Strongback
from strongback.mail.service import MailService
from strongback.mail.template import MailTemplates
from strongback.mail.unsubscribe import Unsubscriptions
from strongback.notification.delivery import TOPICS, Delivery
from strongback.notification.inbox import Inbox
from strongback.notification.job import tell_of_jobs
from strongback.notification.kind import Kinds, Way
from strongback.notification.notification_task import (
    add_mail,
    add_realtime,
    add_sms,
    notification_tasks,
)
from strongback.notification.preference import Preferences
from strongback.notification.sender import SENT, Notifications
from strongback.notification.view import api
from strongback.notification.way import MailWay, RealtimeWay, SmsWay
from strongback.realtime.realtime import Realtime
from strongback.sms.notice import SmsNotices
from strongback.task import Jobs, TaskGroup, TaskRegistry

TEMPLATES = Path(__file__).with_name("template")


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
        group = notification_tasks(delivery, inbox)
        open_ways = _open_ways(app, group, delivery, inbox, notifications)
        preferences.ways = (Way.INBOX, *open_ways)
        services[TaskRegistry].add(group)
        if unsubscriptions := services.find(Unsubscriptions):
            unsubscriptions.switch_off = preferences.switch_off_mail
        kinds.check(texts.locales, texts.translate)
        _ = notifications.contacts

    outbox.declare(__name__, SENT, *TOPICS.values())
    tell_of_jobs(services[Jobs], notifications)
    app.provide(notifications, kinds, preferences, inbox)
    app.before_start(start)
    app.register_api(api, url_prefix=f"{url_prefix}/notifications")
    return notifications


def _open_ways(
    app: Strongback,
    group: TaskGroup,
    delivery: Delivery,
    inbox: Inbox,
    notifications: Notifications,
) -> Iterator[Way]:
    """Add a consumer for each further way of this application."""
    services, texts = app.services, app.translations
    if realtime := services.find(Realtime):
        way = RealtimeWay(realtime, delivery, inbox, texts)
        inbox.on_read = way.read
        add_realtime(group, way)
        yield Way.REALTIME
    mails = services.find(MailService)
    if mails is not None and mails.is_sending:
        services[MailTemplates].add(TEMPLATES)
        add_mail(group, MailWay(mails, delivery, notifications, texts))
        yield Way.MAIL
    notices = services.find(SmsNotices)
    if notices is not None and notices.are_sent:
        add_sms(group, SmsWay(notices, delivery, notifications))
        yield Way.SMS
