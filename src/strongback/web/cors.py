"""Cross-origin requests, by the Fetch standard, from the origins of `WEB_CORS_ORIGINS`.

No credentials are allowed: callers are identified by bearer tokens. The one cookie, of a session in
a browser, is read only beside a header (`X-Token-Transport`) that no preflight allows. An origin
that is not listed gets no headers, so its browser blocks the response. With an empty list nothing
is installed.

The headers are added by a WSGI middleware, because every response needs them: without them a
browser does not let a page read a 304, 401 or 500.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from flask import Flask
from flask import Response as FlaskResponse

from strongback.config import ANY_ORIGIN
from strongback.web.request import current_request

WSGIApp = Callable[[Any, Any], Iterable[bytes]]
Start = Callable[..., object]
"""PEP 3333's start_response."""
Header = tuple[str, str]

ALLOWED_HEADERS = (
    "Authorization, Content-Type, Idempotency-Key, If-Match, If-Modified-Since, If-None-Match,"
    " If-Unmodified-Since, X-Request-ID"
)
EXPOSED_HEADERS = (
    "Allow, Content-Disposition, Content-Location, Content-Range, ETag,"
    " Idempotency-Replayed, Link, Location, RateLimit, RateLimit-Policy, Retry-After,"
    " WWW-Authenticate, X-Request-ID"
)
"""Headers of responses that the guide documents, without those that any page may read (Fetch,
4.5)."""
MAX_AGE = "7200"
"""Seconds for which a browser remembers a preflight; Chromium keeps none longer."""
_RESOURCE_POLICY = "cross-origin-resource-policy"


def init_cors(app: Flask, origins: Sequence[str]) -> None:
    """Let pages of these origins, as browsers send them, call the application; `*` is all."""
    if not origins:
        return
    cors = CORS(app.wsgi_app, origins)
    app.wsgi_app = cors  # type: ignore[method-assign]  # as Flask's docs wrap it
    app.after_request(cors.complete_preflight)


class CORS:
    """Adds the headers to every response, and further ones to preflight responses."""

    def __init__(self, wsgi_app: WSGIApp, origins: Sequence[str]) -> None:
        self._wsgi_app = wsgi_app
        self._origins = frozenset(origins)

    def __call__(self, environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
        """Call the application, adding the headers."""
        allowed = self._allow(environ.get("HTTP_ORIGIN"))

        def start(status: str, headers: list[Header], exc_info: object = None) -> object:
            headers = _vary(headers)
            if allowed:
                headers = _share(headers, allowed)
            return start_response(status, headers, exc_info)

        return self._wsgi_app(environ, start)

    def complete_preflight(self, response: FlaskResponse) -> FlaskResponse:
        """Tell a preflight which methods and headers the route accepts (Fetch, section 3.3.5)."""
        request = current_request()
        environ = request.environ
        if request.method != "OPTIONS" or "HTTP_ACCESS_CONTROL_REQUEST_METHOD" not in environ:
            return response
        if "Allow" not in response.headers or not self._allow(environ.get("HTTP_ORIGIN")):
            return response
        response.status_code = 204
        del response.headers["Content-Type"]
        response.headers["Access-Control-Allow-Methods"] = response.headers["Allow"]
        response.headers["Access-Control-Allow-Headers"] = ALLOWED_HEADERS
        response.headers["Access-Control-Max-Age"] = MAX_AGE
        return response

    def _allow(self, origin: str | None) -> str | None:
        """The value of Access-Control-Allow-Origin, if any."""
        if origin is None:
            return None
        if ANY_ORIGIN in self._origins:
            return ANY_ORIGIN
        return origin if origin in self._origins else None


def _vary(headers: list[Header]) -> list[Header]:
    # Also without CORS headers, or a cache would serve the response to an allowed origin.
    for index, (name, value) in enumerate(headers):
        if name.lower() == "vary":
            varied = [*headers]
            varied[index] = (name, f"{value}, Origin")
            return varied
    return [*headers, ("Vary", "Origin")]


def _share(headers: list[Header], allowed: str) -> list[Header]:
    return [
        *(header for header in headers if header[0].lower() != _RESOURCE_POLICY),
        ("Access-Control-Allow-Origin", allowed),
        ("Access-Control-Expose-Headers", EXPOSED_HEADERS),
        ("Cross-Origin-Resource-Policy", "cross-origin"),
    ]
