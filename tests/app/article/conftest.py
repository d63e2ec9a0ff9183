from __future__ import annotations

from app.article.view_count import ViewCounter
from tests.app.article_library import library
from tests.support.kept import before_reset
from tests.web_fixture import client, logs, statements
from tests.web_fixture import shared_app as app

__all__ = ["app", "client", "library", "logs", "statements"]

before_reset.append(lambda app: app.services[ViewCounter].save())
