from __future__ import annotations

from tests.app.article_library import library
from tests.web_fixture import client, logs, statements
from tests.web_fixture import shared_app as app

__all__ = ["app", "client", "library", "logs", "statements"]
