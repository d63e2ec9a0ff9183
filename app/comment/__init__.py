"""Comments on articles."""

from __future__ import annotations

from pathlib import Path

from app.comment import view
from app.comment.node import CommentPages, Locate
from app.comment.service import COMMENTED, REPLIED, Articles, CommentService
from strongback.app import Strongback
from strongback.notification import Notifications


def register(app: Strongback, articles: Articles, locate: Locate) -> CommentService:
    """Add comments to the application.

    Args:
        app: The application.
        articles: Looks up articles.
        locate: Returns the id of a published article by its slug, from the cache.
    """
    notifications = app.services.find(Notifications)
    if notifications is not None:
        notifications.declare(COMMENTED, REPLIED)
    comments = CommentService(app.database, articles, notifications)
    pages = CommentPages(app.database, app.cache, locate)
    pages.watch(app.invalidator)
    app.translations.add(Path(__file__).with_name("translation"))
    app.provide(comments, pages)
    app.register_api(view.api)
    return comments
