"""The errors that the API responds with, as one tree.

    StrongbackError
    ├── ConfigurationError            a setting or declaration is wrong: refuses to start
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
400xx comments. The OAuth server has 110xx, messages by SMS 120xx, mail 150xx. `error_code` is
unique; a second use is an error at class definition.
"""

from __future__ import annotations

from typing import Any, TypedDict

from click import ClickException


class StrongbackError(Exception):
    """Root of all errors that Strongback raises on purpose."""


class ConfigurationError(StrongbackError, ClickException):
    """A setting or a declaration is missing or wrong; the message names it and the remedy.

    A person who runs a command of `flask` reads this message alone, without a traceback.
    """


class FieldError(TypedDict):
    """An invalid field of a request."""

    field: str
    """Location and name: `body.title`, `query.page`."""
    message: str
    type: str
    """Machine-readable kind of error, such as a type of pydantic's."""


CATALOGUE: dict[int, type[APIException]] = {}
"""All error classes by `error_code`; the page of the documentation is generated from it."""


class APIException(StrongbackError):
    """An error of the API, raised from any layer; the web layer turns it into a response.

    Args:
        message: Explanation in English, also the key of its translations, so values go into
            `params`. Default: the message of the class.
        params: Values for the `{placeholders}` of the message.
        errors: Invalid fields, if any.
        headers: Response headers, such as `Retry-After` in seconds.
    """

    code: int = 500
    """HTTP status code."""
    error_code: int = 10000
    """Number in the catalogue, stable across releases."""
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
            msg = (
                f"error_code {cls.error_code}: {its} has it, and {mine} claims it too; renumber one"
            )
            raise ConfigurationError(msg)


CATALOGUE[APIException.error_code] = APIException


class BadRequest(APIException):
    """The request cannot be read: malformed JSON, a broken header, a wrong encoding."""

    code = 400
    error_code = 10001
    message = "The request could not be read."


class Unauthorized(APIException):
    """Credentials are missing or no longer valid."""

    code = 401
    error_code = 10002
    message = "Authentication is required."


class Forbidden(APIException):
    """The caller lacks the permission."""

    code = 403
    error_code = 10003
    message = "You do not have permission to do this."


class NotFound(APIException):
    """The resource does not exist, or its existence is hidden from the caller."""

    code = 404
    error_code = 10004
    message = "The requested resource was not found."


class MethodNotAllowed(APIException):
    """The resource does not support the method; `Allow` lists those that it does."""

    code = 405
    error_code = 10005
    message = "This method is not allowed here."


class NotAcceptable(APIException):
    """No representation matches the `Accept` header."""

    code = 406
    error_code = 10006
    message = "No acceptable representation is available."


class Conflict(APIException):
    """The request conflicts with the current state of the resource."""

    code = 409
    error_code = 10007
    message = "The request conflicts with the current state."


class AlreadyExists(Conflict):
    """A unique value is taken."""

    error_code = 10008
    message = "A resource with the same unique value already exists."


class PreconditionFailed(APIException):
    """`If-Match` does not match the current version."""

    code = 412
    error_code = 10009
    message = "The resource has changed since it was read."


class ContentTooLarge(APIException):
    """The body is too large."""

    code = 413
    error_code = 10010
    message = "The request body is too large."


class UnsupportedMediaType(APIException):
    """The route does not accept the `Content-Type` of the body."""

    code = 415
    error_code = 10011
    message = "This content type is not supported here."


class ValidationFailed(APIException):
    """Fields of the request are invalid; `errors` lists them."""

    code = 422
    error_code = 10012
    message = "The request has invalid fields."


class PreconditionRequired(APIException):
    """A write to a versioned resource needs `If-Match` (RFC 6585, section 3)."""

    code = 428
    error_code = 10013
    message = "This request needs an If-Match header."


class TooManyRequests(APIException):
    """A rate limit is exceeded; see `Retry-After`."""

    code = 429
    error_code = 10014
    message = "Too many requests."


class ServiceUnavailable(APIException):
    """A backing service is unavailable; see `Retry-After`."""

    code = 503
    error_code = 10015
    message = "The service is temporarily unavailable."


class DatabaseUnavailable(ServiceUnavailable):
    """The database is unreachable, overloaded or restarting."""

    error_code = 10016
    message = "The database is temporarily unavailable."


class BadGateway(APIException):
    """A provider responded with an error."""

    code = 502
    error_code = 10017
    message = "A provider failed to answer."


class GatewayTimeout(APIException):
    """A provider did not respond in time."""

    code = 504
    error_code = 10018
    message = "A provider did not answer in time."
