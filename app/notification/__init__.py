"""Notifies people of published articles."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from app.notification import task
from app.notification.service import CONTINUED, PUBLISHED, Announcements, Articles, Audience
from strongback.app import Strongback
from strongback.notification import Notifications
from strongback.task import TaskRegistry


def register(app: Strongback, articles: Articles, audiences: Iterable[Audience]) -> Announcements:
    """Announce articles. Needs the parts `task` and `notification`.

    Args:
        app: The application.
        articles: Looks up articles.
        audiences: Accounts that are notified of an article.
    """
    notifications = app.services[Notifications]
    notifications.declare(PUBLISHED)
    announcements = Announcements(app.database, app.outbox, notifications, articles, audiences)
    app.outbox.declare(__name__, CONTINUED)
    app.translations.add(Path(__file__).with_name("translation"))
    app.provide(announcements)
    app.services[TaskRegistry].add(task.group)
    return announcements
