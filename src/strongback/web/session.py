"""No cookies: callers are known by their token, so opening a session would be wasted work."""

from __future__ import annotations

from flask import Flask
from flask import Request as FlaskRequest
from flask import Response as FlaskResponse
from flask.sessions import NullSession, SessionInterface, SessionMixin


class NoSession(SessionInterface):
    """Gives every request the same session, which refuses to be written."""

    _null = NullSession()

    def open_session(
        self, app: Flask, request: FlaskRequest  # noqa: ARG002  Flask's own
    ) -> SessionMixin:
        """The session that cannot be written; using it says so."""
        return self._null

    def save_session(self, app: Flask, session: SessionMixin, response: FlaskResponse) -> None:
        """Nothing was written, so nothing is kept."""
