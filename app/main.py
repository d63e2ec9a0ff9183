"""The composition root, the only module that knows all slices."""

from __future__ import annotations

from importlib.metadata import version
from typing import cast

from app import article, comment, demo, notification, user
from app.article.node import ArticlePages
from app.article.page_node import ArticleReading
from app.article.removal import ArticleRemoval
from app.comment.node import CommentPages
from app.core import API
from app.core.config import Settings, load_settings
from app.core.file_kind import ATTACHMENT
from app.core.log_config import LOGGING
from app.core.permission import ROLES
from app.notification.service import Articles
from app.user.avatar import ADDRESS
from app.user.follow import FollowService
from strongback import file, live, mail, realtime, search, sms, task
from strongback import notification as notifications
from strongback.app import Strongback

TITLE = "Strongback"
VERSION = version("strongback")


def create_app(settings: Settings | None = None) -> Strongback:
    """Build the application.

    Args:
        settings: Settings of the application. Default: read from the environment.

    Raises:
        ConfigurationError: A setting is missing or invalid.
    """
    settings = settings or load_settings()
    app = Strongback(
        __name__,
        settings,
        title=TITLE,
        version=VERSION,
        roles=ROLES,
        logging=LOGGING,
    )
    task.register(app, API)
    search.register(app)
    sms.register(app, API)
    realtime.register(app, API)
    live.register(app)
    mail.register(app, API, unsubscribe_page="/account/unsubscribe")
    notifications.register(app, API)
    file.register(app, API).declare(ATTACHMENT)
    users = user.register(app)
    articles = article.register(app, users)
    comments = comment.register(app, articles, app.services[ArticlePages].locate)
    app.services[ArticleReading].comments = app.services[CommentPages]
    app.services[ArticleReading].avatars = ADDRESS
    app.services[ArticleRemoval].clear_too(comments.clear)
    follows = app.services[FollowService]
    audiences = (
        lambda article, after, limit: comments.commenters(article.id, after, limit),
        lambda article, after, limit: follows.followers(article.author, after, limit),
    )
    # pyright does not see that a column's attribute gives its value.
    notification.register(app, cast("Articles", articles), audiences)
    demo.register(app, article.add_samples)
    return app.checked()
