"""No cookie sessions: callers are identified by their token."""

from __future__ import annotations

from flask import Flask
from flask import Request as FlaskRequest
from flask.sessions import NullSession, SessionInterface, SessionMixin


class NoSession(SessionInterface):
    """Gives every request the same read-only session."""

    _null = NullSession()

    def open_session(
        self, app: Flask, request: FlaskRequest  # noqa: ARG002  Flask's own
    ) -> SessionMixin:
        """The read-only session."""
        return self._null
