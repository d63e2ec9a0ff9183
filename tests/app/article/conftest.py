from __future__ import annotations

from tests.app.article_library import library
from tests.web_fixture import app, client, logs, statements

__all__ = ["app", "client", "library", "logs", "statements"]
