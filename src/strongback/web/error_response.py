"""Turns every exception into an error response, in the requested form and language."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from flask import Flask, current_app
from werkzeug.exceptions import HTTPException
from werkzeug.http import HTTP_STATUS_CODES

from strongback.exceptions import CATALOGUE, APIException, GatewayTimeout
from strongback.log.setup import get_logger
from strongback.web.json import dump
from strongback.web.request import Request, Response, current_request
from strongback.web.translation import translate

log = get_logger(__name__)

MAX_ACCEPT = 1024
"""Longest Accept header that is parsed."""
PROBLEM_JSON = "application/problem+json"
Converter = Callable[[Any], APIException | None]
"""Returns the error to respond with, or None if the exception is a defect."""

# A status without a class of its own gets the number of its family.
_FAMILY = {4: 10001, 5: 10000}
_BY_STATUS = {cls.code: cls for cls in reversed(CATALOGUE.values())}


def init_errors(app: Flask) -> dict[type[Exception], Converter]:
    """Respond to every exception of the application.

    Returns:
        Converters of exceptions of libraries, by type, to be added to; the nearest type wins.
    """
    converters: dict[type[Exception], Converter] = {TimeoutError: lambda _: GatewayTimeout()}
    app.extensions["errors"] = converters
    app.register_error_handler(Exception, respond)
    return converters


def respond(error: Exception) -> Response | HTTPException:
    """Make the response to an exception, raised or returned."""
    if isinstance(error, HTTPException):
        return _respond_to_http(error)
    if not isinstance(error, APIException):
        return _respond_to_other(error)
    if error.code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        log.warning("request_refused", error_code=error.error_code, reason=str(error))
    return render(error)


def _respond_to_http(error: HTTPException) -> Response | HTTPException:
    """Keep the headers of an error that Werkzeug or Flask raised: `Allow`, and so on."""
    if error.code is None or error.code < HTTPStatus.BAD_REQUEST or error.response is not None:
        return error  # a redirect, or an exception that carries a response
    headers = {
        name: value
        for name, value in error.get_headers()
        if name.lower() not in {"content-type", "content-length"}
    }
    if kind := _BY_STATUS.get(error.code):
        return render(kind(headers=headers))
    other = APIException(_phrase(error.code), headers=headers)
    other.code, other.error_code = error.code, _FAMILY[error.code // 100]
    return render(other)


def _respond_to_other(error: Exception) -> Response:
    """Log an unexpected exception with its traceback, and tell the client nothing about it."""
    converters: dict[type, Converter] = current_app.extensions["errors"]
    convert = next(filter(None, map(converters.get, type(error).__mro__)), None)
    if convert and (known := convert(error)):
        # The driver's own message: SQLAlchemy adds the statement to it.
        reason = str(getattr(error, "orig", None) or error)
        kind, response = type(error).__name__, type(known).__name__
        log.warning("dependency_failed", error=kind, reason=reason, response=response)
        return render(known)
    log.error("unhandled_exception", exc_info=error)
    return render(APIException(), traceback.format_exception(error) if current_app.debug else None)


def render(error: APIException, trace: list[str] | None = None) -> Response:
    """Write an error as JSON, or as RFC 9457 if the client prefers that."""
    request = current_request()
    facts = _facts(error, request) | ({"traceback": trace} if trace else {})
    if wants_problem(request):
        response = Response(dump(_problem(facts)), error.code, mimetype=PROBLEM_JSON)
    else:
        response = Response(dump(facts), error.code)
    response.headers.update(error.headers)
    response.headers["Cache-Control"] = "no-store"
    response.headers["Content-Language"] = request.locale
    response.vary.update(("Accept", "Accept-Language"))
    return response


def _facts(error: APIException, request: Request) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "code": error.code,
        "error_code": error.error_code,
        "message": _say(error.message, error, request),
        "request_id": request.id,
    }
    if error.errors:
        facts["errors"] = [
            field | {"message": _say(field["message"], error, request)} for field in error.errors
        ]
    return facts | error.extra


def _say(text: str, error: APIException, request: Request) -> str:
    text = translate(text, request.locale)
    return text.format(**error.params) if error.params else text


def wants_problem(request: Request) -> bool:
    """Whether the client prefers RFC 9457 to plain JSON; an overlong list is ignored."""
    # Werkzeug's parser takes quadratic time in the number of blanks.
    if len(request.environ.get("HTTP_ACCEPT", "")) > MAX_ACCEPT:
        return False
    accepted = request.accept_mimetypes
    return accepted.best_match(("application/json", PROBLEM_JSON)) == PROBLEM_JSON


def _phrase(code: int) -> str:
    return HTTP_STATUS_CODES.get(code, "Error")  # a custom status has no phrase


def _problem(facts: dict[str, Any]) -> dict[str, Any]:
    code, text = facts.pop("code"), facts.pop("message")
    return {
        "type": f"urn:strongback:error:{facts['error_code']}",
        "title": _phrase(code),
        "status": code,
        "detail": text,
        "instance": current_request().path,
    } | facts
