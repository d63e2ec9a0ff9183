"""The part `notification`: what an application registers to notify people."""

from __future__ import annotations

from datetime import timedelta

from strongback.app import Strongback
from strongback.notification.delivery import TOPICS, Delivery
from strongback.notification.inbox import Inbox
from strongback.notification.job import tell_of_jobs
from strongback.notification.kind import Kinds
from strongback.notification.notification_task import notification_tasks
from strongback.notification.preference import Preferences
from strongback.notification.sender import SENT, Notifications
from strongback.notification.view import api
from strongback.task import Jobs, TaskRegistry


def register(app: Strongback, url_prefix: str) -> Notifications:
    """Notify people, and serve `/notifications` below a prefix. Needs the part `task`.

    Slices that send notifications find this service, `app.services.find(Notifications)`, and
    declare their kinds; where this part is not registered, they send none.
    """
    services, database, outbox, kinds = app.services, app.database, app.outbox, Kinds()
    notifications = Notifications(outbox, kinds)
    preferences = Preferences(database, kinds)
    inbox = Inbox(database, timedelta(days=app.settings.notification_days))
    delivery = Delivery(database, outbox, kinds, preferences)
    outbox.declare(__name__, SENT, *TOPICS.values())
    services[TaskRegistry].add(notification_tasks(delivery, inbox))
    tell_of_jobs(services[Jobs], notifications)
    app.provide(notifications, kinds, preferences, inbox)
    texts = app.translations
    app.before_start(lambda: kinds.check(texts.locales, texts.translate))
    app.before_start(lambda: notifications.contacts)
    app.register_api(api, url_prefix=f"{url_prefix}/notifications")
    return notifications
