"""The Link header of a list (RFC 8288)."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from strongback.paging import Window
from strongback.web.request import current_request


def link_header(window: Window[Any]) -> str:
    """Links to the first, previous, next and last part, if they exist."""
    request = current_request()
    kept = [
        (name, value)
        for name, value in request.args.items(multi=True)
        if name not in {"page", "cursor"}
    ]
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
