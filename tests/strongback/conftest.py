from __future__ import annotations

from tests.web_fixture import app, bare, client, library, logs, small_app, statements

__all__ = ["app", "bare", "client", "library", "logs", "small_app", "statements"]
