from __future__ import annotations

from tests.web_fixture import app, client, library, logs, statements

__all__ = ["app", "client", "library", "logs", "statements"]
