"""The request and the response, with what every one of them carries."""

from __future__ import annotations

import re
import secrets
from functools import cached_property
from time import perf_counter_ns
from typing import Any

from flask import Request as FlaskRequest
from flask import Response as FlaskResponse
from flask import request as flask_request

from app.core.web.translation import choose_locale

_SAFE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)


class Request(FlaskRequest):
    """A request that knows its id, its start and its caller's language."""

    def __init__(self, environ: dict[str, Any], *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        super().__init__(environ, *args, **kwargs)
        self.started_ns = perf_counter_ns()
        self.version: Any = None
        given = environ.get("HTTP_X_REQUEST_ID")
        # An id from outside reaches logs and headers, so only harmless characters are taken over.
        self.id = given if given and _SAFE_ID.fullmatch(given) else secrets.token_hex(16)

    @cached_property
    def locale(self) -> str:
        """The language of this request's messages: `en` or `zh`."""
        return choose_locale(self.accept_languages)

    @property
    def route(self) -> str:
        """The matched route's pattern, or `unmatched`: few values, unlike the path."""
        return self.url_rule.rule if self.url_rule else "unmatched"


class Response(FlaskResponse):
    """A response that is JSON unless something else is said."""

    default_mimetype = "application/json"


def current_request() -> Request:
    """The request being answered.

    Raises:
        RuntimeError: No request is being answered.
    """
    return flask_request._get_current_object()  # type: ignore[attr-defined,no-any-return]  # noqa: SLF001  Werkzeug's documented way to the object
