"""The Link header of a list (RFC 8288)."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from strongback.cache import CachedPage
from strongback.paging import Window
from strongback.web.request import Response, current_request


def cached_page(page: CachedPage) -> Response:
    """Respond with the JSON of a part of a list, which is sent without building models."""
    response = Response.of_data(page.body)
    response.common = [("Link", link_header(page.window))]
    return response


def link_header(window: Window[Any]) -> str:
    """Links to the first, previous, next and last part, if they exist."""
    request = current_request()
    kept = [item for item in request.args.items(multi=True) if item[0] not in {"page", "cursor"}]
    return ", ".join(
        f'<{request.path}?{urlencode([*kept, (name, value)])}>; rel="{relation}"'
        for relation, name, value in _neighbours(window)
    )


def _neighbours(window: Window[Any]) -> list[tuple[str, str, str | int]]:
    if window.page is None or window.total is None:
        following = window.next_cursor
        first: list[tuple[str, str, str | int]] = [("first", "cursor", "")]
        return [*first, ("next", "cursor", following)] if following else first
    last = max(1, -(-window.total // window.page_size))
    numbers = {"first": 1, "prev": window.page - 1, "next": window.page + 1, "last": last}
    return [(rel, "page", number) for rel, number in numbers.items() if 1 <= number <= last]
