"""Begin and end of every request: its id, headers, metrics and log entry."""

from __future__ import annotations

from functools import partial
from time import perf_counter_ns
from typing import cast

from flask import Flask
from flask import Response as FlaskResponse
from structlog.contextvars import bind_contextvars, clear_contextvars

from strongback.config import Settings
from strongback.log.setup import get_logger, log_access
from strongback.web import metrics
from strongback.web.conditional import evaluate
from strongback.web.edge import check_request
from strongback.web.request import Request, Response, current_request

log = get_logger(__name__)

# The list of OWASP's REST Security Cheat Sheet. Responses are no pages, so nothing may be loaded
# or framed; the documentation page has a policy of its own.
SECURITY_HEADERS = (
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
)
STRICT_TRANSPORT_SECURITY = ("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
# Probes every few seconds would bury everything else; the metrics still count them.
UNLOGGED_PATHS = frozenset({"/livez", "/readyz", "/metrics"})


class RequestLifecycle:
    """Begins and finishes requests: the first hook before each of them and the last one after it.

    In production, browsers are told to use https only.
    """

    def __init__(self, app: Flask, settings: Settings) -> None:
        self._is_strict = settings.is_production
        app.before_request(self.begin)
        app.after_request(self.finish)

    def begin(self) -> None:
        """Bind the request's id to all log entries until this thread's next request.

        Raises:
            BadRequest: The Host header or the framing of the body is invalid.
        """
        request = current_request()
        clear_contextvars()
        bind_contextvars(request_id=request.id)
        check_request(request.environ)

    def finish(self, response: FlaskResponse) -> Response:
        """Tag, complete, measure and log a response."""
        request = current_request()
        response = evaluate(request, cast("Response", response))
        policy = SECURITY_HEADERS if response.policy is None else response.policy
        strict = (STRICT_TRANSPORT_SECURITY,) if self._is_strict and request.is_secure else ()
        response.common = [*response.common, *policy, *strict, ("X-Request-ID", request.id)]
        if response.is_sequence:
            _account_safely(request, response)
        else:
            # A streamed response ends with its last byte.
            response.call_on_close(partial(_account_safely, request, response))
        return response


def _account_safely(request: Request, response: Response) -> None:
    # The response is complete: a failure from here on must not affect it.
    try:
        _account(request, response)
    except Exception:
        log.exception("request_not_accounted")


def _account(request: Request, response: Response) -> None:
    seconds = (perf_counter_ns() - request.started_ns) / 1e9
    route, status = request.route, response.status_code
    metrics.observe_request(request.method, route, status, seconds)
    if request.path in UNLOGGED_PATHS:
        return
    log_access(
        method=request.method,
        route=route,
        path=request.path,
        status=status,
        duration_ms=round(seconds * 1000, 3),
        bytes=response.content_length or 0,
        remote_addr=request.remote_addr,
    )
