"""Every error that the application answers on purpose, as one tree.

    StrongbackError
    ├── ConfigurationError            a setting is missing or wrong: refuses to start
    └── APIException                  500 10000
        ├── BadRequest                400 10001
        ├── Unauthorized              401 10002
        ├── Forbidden                 403 10003
        ├── NotFound                  404 10004
        ├── MethodNotAllowed          405 10005
        ├── NotAcceptable             406 10006
        ├── Conflict                  409 10007
        │   └── AlreadyExists         409 10008
        ├── PreconditionFailed        412 10009
        ├── ContentTooLarge           413 10010
        ├── UnsupportedMediaType      415 10011
        ├── ValidationFailed          422 10012
        ├── PreconditionRequired      428 10013
        ├── TooManyRequests           429 10014
        ├── ServiceUnavailable        503 10015
        │   └── DatabaseUnavailable   503 10016
        ├── BadGateway                502 10017
        └── GatewayTimeout            504 10018

A slice adds its own below these, with codes of its own: 200xx users, 300xx articles,
400xx comments. The OAuth server has 110xx, messages by SMS 120xx. `error_code` is unique; a
second use is an error at class definition.
"""

from __future__ import annotations

from typing import Any, TypedDict

from click import ClickException


class StrongbackError(Exception):
    """Root of every error that this code base raises on purpose."""


class ConfigurationError(StrongbackError, ClickException):
    """A setting is missing or wrong; the message names the variable and the remedy.

    A person who runs a command of `flask` reads this message alone, without a traceback.
    """


class FieldError(TypedDict):
    """One wrong field of a request."""

    field: str
    """Where it is, location first: `body.title`, `query.page`."""
    message: str
    """What is wrong, for a person."""
    type: str
    """What is wrong, for a program: a pydantic error type."""


CATALOGUE: dict[int, type[APIException]] = {}
"""Every error class by its `error_code`; the documentation's page is generated from it."""


class APIException(StrongbackError):
    """An error with an answer: raise it from any layer, the web layer turns it into HTTP.

    Args:
        message: What happened, in English; the class's own message when left out. It is looked up
            in the translations as it stands, so values go into `params`.
        params: Values for the message's `{placeholders}`.
        errors: The wrong fields, if any.
        headers: Response headers, such as `Retry-After` in seconds.
    """

    code: int = 500
    """The HTTP status."""
    error_code: int = 10000
    """The catalogue's number, stable across releases."""
    message: str = "The server failed to answer this request."

    def __init__(
        self,
        message: str | None = None,
        *,
        params: dict[str, Any] | None = None,
        errors: list[FieldError] | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        if message is not None:
            self.message = message
        self.params = params or {}
        self.errors = errors or []
        self.headers = headers or {}
        self.extra: dict[str, Any] = {}
        super().__init__(self.message.format(**self.params) if self.params else self.message)

    def __init_subclass__(cls) -> None:
        other = CATALOGUE.setdefault(cls.error_code, cls)
        mine, its = (f"{each.__module__}.{each.__qualname__}" for each in (cls, other))
        if "error_code" not in cls.__dict__ or mine != its:
            msg = f"error_code {cls.error_code}: {its} has it, and {mine} claims it too"
            raise TypeError(msg)


CATALOGUE[APIException.error_code] = APIException


class BadRequest(APIException):
    """The request cannot be read: malformed JSON, a broken header, a wrong encoding."""

    code = 400
    error_code = 10001
    message = "The request could not be read."


class Unauthorized(APIException):
    """Credentials are missing or no longer good."""

    code = 401
    error_code = 10002
    message = "Authentication is required."


class Forbidden(APIException):
    """The caller is known and may not do this."""

    code = 403
    error_code = 10003
    message = "You do not have permission to do this."


class NotFound(APIException):
    """Nothing is at this address, or the caller may not know that something is."""

    code = 404
    error_code = 10004
    message = "The requested resource was not found."


class MethodNotAllowed(APIException):
    """The address exists, the method does not; `Allow` lists those that do."""

    code = 405
    error_code = 10005
    message = "This method is not allowed here."


class NotAcceptable(APIException):
    """No representation fits the `Accept` header."""

    code = 406
    error_code = 10006
    message = "No acceptable representation is available."


class Conflict(APIException):
    """The request contradicts the resource's present state."""

    code = 409
    error_code = 10007
    message = "The request conflicts with the current state."


class AlreadyExists(Conflict):
    """A unique value is taken."""

    error_code = 10008
    message = "A resource with the same unique value already exists."


class PreconditionFailed(APIException):
    """`If-Match` names a version that is no longer the current one."""

    code = 412
    error_code = 10009
    message = "The resource has changed since it was read."


class ContentTooLarge(APIException):
    """The body is larger than the server takes."""

    code = 413
    error_code = 10010
    message = "The request body is too large."


class UnsupportedMediaType(APIException):
    """The body's `Content-Type` is not one that this route reads."""

    code = 415
    error_code = 10011
    message = "This content type is not supported here."


class ValidationFailed(APIException):
    """The request was read, and fields of it are wrong; `errors` lists them."""

    code = 422
    error_code = 10012
    message = "The request has invalid fields."


class PreconditionRequired(APIException):
    """A write to a versioned resource came without `If-Match` (RFC 6585, section 3)."""

    code = 428
    error_code = 10013
    message = "This request needs an If-Match header."


class TooManyRequests(APIException):
    """A rate limit is used up; `Retry-After` says for how long."""

    code = 429
    error_code = 10014
    message = "Too many requests."


class ServiceUnavailable(APIException):
    """A backing service does not answer; `Retry-After` says when to come back."""

    code = 503
    error_code = 10015
    message = "The service is temporarily unavailable."


class DatabaseUnavailable(ServiceUnavailable):
    """The database does not answer, is overloaded or is restarting."""

    error_code = 10016
    message = "The database is temporarily unavailable."


class BadGateway(APIException):
    """A provider answered with an error."""

    code = 502
    error_code = 10017
    message = "A provider failed to answer."


class GatewayTimeout(APIException):
    """A provider did not answer in time."""

    code = 504
    error_code = 10018
    message = "A provider did not answer in time."
