"""Conditional requests (RFC 9110, section 13): tags, 304, 412, and versions known beforehand."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar

from werkzeug.http import http_date, parse_date
from xxhash import xxh3_128_hexdigest

from strongback.exceptions import PreconditionFailed
from strongback.schema import Validators
from strongback.web.error import render
from strongback.web.request import Request, Response, current_request

OK = 200
_READS = frozenset({"GET", "HEAD"})
_NOT_STORED = [("Cache-Control", "no-store")]


class Resource(Protocol):
    """A resource that knows its state."""

    @property
    def validators(self) -> Validators:
        """What tells this state from another."""
        ...


ResourceT = TypeVar("ResourceT", bound=Resource)


def conditional(
    load: Callable[[], ResourceT],
    *,
    validators: Callable[[], Validators | None],
    seen: Callable[[Any], object] | None = None,
) -> ResourceT | Response:
    """Answer 304 from the validators alone where the client has this state, else load.

    Args:
        load: Reads the whole resource.
        validators: Reads only its validators, cheaply; None if there is no such resource.
        seen: Is given the validators of what a GET is answered, with a 200 or a 304.

    Returns:
        The resource, its validators noted for the answer; or the 304.
    """
    request = current_request()
    if "HTTP_IF_NONE_MATCH" in request.environ or "HTTP_IF_MODIFIED_SINCE" in request.environ:
        known = validators()
        if known is not None and _is_not_modified(request, known.etag, known.modified):
            note_shown(request, known, seen)
            return not_modified(request, known.etag, known.modified)
    resource = load()  # says better than we could that there is none
    request.validators = resource.validators
    note_shown(request, request.validators, seen)
    return resource


def note_shown(request: Request, known: Validators, seen: Callable[[Any], object] | None) -> None:
    """Tell whoever counts readers what a GET is answered, be it with a 200 or a 304."""
    if seen is None or request.method != "GET":
        return
    if is_expected(request, known.etag, known.modified):
        seen(known)


def evaluate(request: Request, response: Response) -> Response:
    """Tag a successful read; 304 where the client has exactly this, 412 where it wants another.

    The tag is the resource's own where the view knew it, else a hash of the body. An answer that
    decided on its caching is left as it is.
    """
    if not response.is_taggable or response.status_code != OK or request.method not in _READS:
        return _keep_private(request, response)
    known = request.validators
    tag = known.etag if known else xxh3_128_hexdigest(response.get_data())
    modified = known.modified if known else None
    if not is_expected(request, tag, modified):
        return render(PreconditionFailed())
    if is_fresh(request, tag, modified):
        return not_modified(request, tag, modified)
    response.common = [*response.common, *_headers(request, tag, modified)]
    return response


def _keep_private(request: Request, response: Response) -> Response:
    has_decided = response.common or "Cache-Control" in response.headers
    is_personal = request.principal is not None or request.method not in _READS
    if is_personal and not has_decided:
        response.common = _NOT_STORED
    return response


def is_expected(request: Request, tag: str, modified: datetime | None) -> bool:
    """Whether this state is one that the client asks for by `If-Match` or its date.

    Only a read is decided here: a write compares inside its transaction, see `precondition`.
    """
    given = request.environ.get("HTTP_IF_MATCH")
    if given is not None:
        return _names(given, tag)
    since = _date_of(request.environ.get("HTTP_IF_UNMODIFIED_SINCE"))
    return modified is None or since is None or modified.replace(microsecond=0) <= since


def is_fresh(request: Request, tag: str, modified: datetime | None) -> bool:
    """Whether the client's copy is this one; a tag takes precedence over a date."""
    given = request.environ.get("HTTP_IF_NONE_MATCH")
    if given is not None:
        return _names(given, tag)
    since = _date_of(request.environ.get("HTTP_IF_MODIFIED_SINCE"))
    return modified is not None and since is not None and modified.replace(microsecond=0) <= since


def _is_not_modified(request: Request, tag: str, modified: datetime | None) -> bool:
    return is_expected(request, tag, modified) and is_fresh(request, tag, modified)


def _names(header: str, tag: str) -> bool:
    return header.strip() == "*" or tag in tags_of(header)


def _date_of(header: str | None) -> datetime | None:
    """The moment that a header names; None where it is absent, absurd or cannot be read."""
    try:
        date = parse_date(header)
        # One at the edge of the calendar cannot be compared once its zone is taken off.
        return date and date.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def tags_of(header: str) -> set[str]:
    """The version tokens that an `If-Match` or `If-None-Match` lists."""
    # A proxy that compresses marks a tag as weak, so `W/` does not count (RFC 9110, 8.8.3.2).
    return {part.strip().removeprefix("W/").strip('"') for part in header.split(",")}


def not_modified(request: Request, tag: str, modified: datetime | None) -> Response:
    """A 304, which carries the validators and no body."""
    response = Response(b"", 304)
    del response.headers["Content-Type"]
    response.common = _headers(request, tag, modified)
    return response


def _headers(request: Request, tag: str, modified: datetime | None) -> list[tuple[str, str]]:
    # Kept by caches, and asked about each time: a 304 is cheap, a stale answer is not. What one
    # caller may see, a cache that others share must not keep.
    caching = "no-cache" if request.principal is None else "private, no-cache"
    headers = [("ETag", f'"{tag}"'), ("Cache-Control", caching), ("Vary", "Authorization")]
    return [*headers, ("Last-Modified", http_date(modified))] if modified else headers
