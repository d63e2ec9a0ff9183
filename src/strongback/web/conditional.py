"""Conditional requests (RFC 9110, section 13): entity tags, 304 and 412.

A write to a versioned resource takes the header `If-Match` (RFC 6585, section 3: 428 without it):

    @api.patch("/<slug>", responses={200: ArticleOut})
    @needs(Permission.ARTICLE_WRITE)
    def change_article(path: ArticlePath, header: IfMatch, ...) -> ...:
        article = articles.change(path.slug, ..., header.expected)
        return article, tag_headers(article)
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator
from werkzeug.http import http_date, parse_date
from xxhash import xxh3_128_hexdigest

from strongback.exceptions import PreconditionFailed, PreconditionRequired
from strongback.precondition import ANY, Expected
from strongback.schema import Validators
from strongback.web.error_response import render
from strongback.web.request import Request, Response, current_request

OK = 200
_READS = frozenset({"GET", "HEAD"})
_NOT_STORED = [("Cache-Control", "no-store")]


class Resource(Protocol):
    """A resource with validators."""

    @property
    def validators(self) -> Validators:
        """Validators of its current state."""
        ...


ResourceT = TypeVar("ResourceT", bound=Resource)


def conditional(
    load: Callable[[], ResourceT],
    *,
    validators: Callable[[], Validators | None],
    seen: Callable[[Any], object] | None = None,
) -> ResourceT | Response:
    """Respond with a 304 if the client has the current state, or load the resource.

    Args:
        load: Loads the whole resource.
        validators: Loads its validators only, cheaply; None if there is no such resource.
        seen: Called with the validators when a GET gets a 200 or a 304.

    Returns:
        The resource, or the 304. The response to the resource gets its validators.
    """
    request = current_request()
    if "HTTP_IF_NONE_MATCH" in request.environ or "HTTP_IF_MODIFIED_SINCE" in request.environ:
        known = validators()
        if known is not None:
            state = known.etag, known.modified
            if is_expected(request, *state) and is_fresh(request, *state):
                note_shown(request, known, seen)
                return not_modified(request, *state)
    resource = load()  # raises the right error if there is none
    request.validators = resource.validators
    note_shown(request, request.validators, seen)
    return resource


def cached_response(
    body: bytes, validators: Validators, *, seen: Callable[[Any], object] | None = None
) -> Response:
    """Respond with the JSON of a resource, or with a 304 if the client has this state.

    Args:
        body: The JSON.
        validators: Validators of the state that the JSON shows.
        seen: Called with the validators when a GET gets a 200 or a 304.
    """
    request = current_request()
    request.validators = validators
    note_shown(request, validators, seen)
    return Response.of_data(body)


def note_shown(request: Request, known: Validators, seen: Callable[[Any], object] | None) -> None:
    """Call `seen` if a GET gets a 200 or a 304."""
    if seen is None or request.method != "GET":
        return
    if is_expected(request, known.etag, known.modified):
        seen(known)


def evaluate(request: Request, response: Response) -> Response:
    """Tag a successful read; turn it into a 304 or a 412 if the conditions say so.

    The tag is that of the resource or the response if the view has set it, else a hash of the body.
    A response with caching headers of its own is left unchanged.
    """
    if not response.is_taggable or response.status_code != OK or request.method not in _READS:
        return _keep_private(request, response)
    known = request.validators
    tag = response.tag or (known.etag if known else xxh3_128_hexdigest(response.get_data()))
    modified = known.modified if known else None
    if not is_expected(request, tag, modified):
        return render(PreconditionFailed())
    if is_fresh(request, tag, modified):
        return not_modified(request, tag, modified, of=response)
    headers = _headers(request, tag, modified, response.varies)
    response.common = [*response.common, *headers]
    return response


def _keep_private(request: Request, response: Response) -> Response:
    has_decided = response.common or "Cache-Control" in response.headers
    is_personal = request.principal is not None or request.method not in _READS
    if is_personal and not has_decided:
        response.common = _NOT_STORED
    return response


def is_expected(request: Request, tag: str, modified: datetime | None) -> bool:
    """Whether this state fulfils `If-Match` and `If-Unmodified-Since`.

    For reads only: a write compares inside its transaction, see `precondition`.
    """
    given = request.environ.get("HTTP_IF_MATCH")
    if given is not None:
        return _names(given, tag)
    since = _date_of(request.environ.get("HTTP_IF_UNMODIFIED_SINCE"))
    return modified is None or since is None or modified.replace(microsecond=0) <= since


def is_fresh(request: Request, tag: str, modified: datetime | None) -> bool:
    """Whether the client's copy has this state; a tag takes precedence over a date."""
    given = request.environ.get("HTTP_IF_NONE_MATCH")
    if given is not None:
        return _names(given, tag)
    since = _date_of(request.environ.get("HTTP_IF_MODIFIED_SINCE"))
    return modified is not None and since is not None and modified.replace(microsecond=0) <= since


def _names(header: str, tag: str) -> bool:
    return header.strip() == "*" or tag in tags_of(header)


def _date_of(header: str | None) -> datetime | None:
    """The date of a header; None if it is missing, invalid or out of range."""
    try:
        date = parse_date(header)
        # A date at the edge of the calendar overflows in another time zone.
        return date and date.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def tags_of(header: str) -> set[str]:
    """The entity tags in `If-Match` or `If-None-Match`."""
    # A proxy that compresses marks a tag as weak, so `W/` does not count (RFC 9110, 8.8.3.2).
    return {part.strip().removeprefix("W/").strip('"') for part in header.split(",")}


def not_modified(
    request: Request, tag: str, modified: datetime | None, of: Response | None = None
) -> Response:
    """A 304, which carries the validators and no body.

    It repeats the security headers of the 200 that it stands for: clients replace stored headers by
    those of the 304.
    """
    response = Response(b"", 304)
    del response.headers["Content-Type"]
    if of is not None:
        response.policy, response.varies = of.policy, of.varies
    response.common = _headers(request, tag, modified, response.varies)
    return response


def _headers(
    request: Request, tag: str, modified: datetime | None, varies: str
) -> list[tuple[str, str]]:
    # Caches may store it, and revalidate it each time: a 304 is cheap, a stale response is not.
    # Shared caches must not store what depends on the caller.
    caching = "no-cache" if request.principal is None else "private, no-cache"
    headers = [("ETag", f'"{tag}"'), ("Cache-Control", caching), ("Vary", varies)]
    return [*headers, ("Last-Modified", http_date(modified))] if modified else headers


# Writes


class IfMatch(BaseModel):
    """Header of a write to a versioned resource: it must name the state that was read."""

    model_config = ConfigDict(use_attribute_docstrings=True, validate_by_name=True)

    if_match: Annotated[str, Field(alias="If-Match", examples=['"12-3-0-0"'])]
    """`ETag` of the state to change, or `*` for any. Another state is 412, a missing header 428."""

    @model_validator(mode="before")
    @classmethod
    def _require(cls, values: Any) -> Any:  # noqa: ANN401  pydantic's signature
        if not values:
            raise PreconditionRequired
        return values

    @property
    def expected(self) -> Expected:
        """The states that the write applies to."""
        return _expected(self.if_match)


class OptionalIfMatch(BaseModel):
    """Header of a write to a resource with one writer: the state may be named."""

    model_config = ConfigDict(use_attribute_docstrings=True, validate_by_name=True)

    if_match: Annotated[str | None, Field(alias="If-Match", examples=['"12-20260101"'])] = None
    """`ETag` of the state to change. Another state is 412."""

    @property
    def expected(self) -> Expected:
        """The states that the write applies to."""
        return ANY if self.if_match is None else _expected(self.if_match)


def _expected(header: str) -> Expected:
    return ANY if header.strip() == "*" else Expected(frozenset(tags_of(header)))


def tag_headers(resource: Resource) -> dict[str, str]:
    """The headers of a response to a write that shows the new state of the resource."""
    known = resource.validators
    return {"ETag": f'"{known.etag}"', "Last-Modified": http_date(known.modified)}
