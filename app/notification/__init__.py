"""Notifications of accounts."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

from app.core.config import Settings
from app.notification import task, view
from app.notification.service import CONTINUED, Articles, Audience, NotificationService
from strongback.app import Strongback
from strongback.task import TaskRegistry


def register(
    app: Strongback, articles: Articles, audiences: Iterable[Audience]
) -> NotificationService:
    """Add notifications to the application. Needs the part `task`.

    Args:
        app: The application.
        articles: Looks up articles.
        audiences: Accounts that are notified of an article.
    """
    kept = timedelta(days=app.services[Settings].notification_days)
    notifications = NotificationService(app.database, app.outbox, articles, audiences, kept)
    app.outbox.declare(__name__, CONTINUED)
    app.translations.add(Path(__file__).with_name("translation"))
    app.provide(notifications)
    app.services[TaskRegistry].add(task.group)
    app.register_api(view.api)
    return notifications
