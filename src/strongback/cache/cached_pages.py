"""Cached pages: parts of a list as JSON, read from a database.

pages = CachedPages(cache, database, "comment-list", CommentOut)
page = pages.page(str(article_id), wanted, lambda session: read_page(session, query, ORDER, wanted))

invalidator.invalidate_list(Comment, pages, lambda comment: [str(comment.article_id)])
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy.orm import Session

from strongback.cache.cached_list import CachedList
from strongback.cache.manager import Manager
from strongback.cache.node import Node
from strongback.database import Database, utc_now
from strongback.paging import Window
from strongback.schema import Page, PageQuery, Schema


@dataclass(frozen=True, slots=True)
class CachedPage:
    """Part of a list as JSON."""

    body: bytes
    """The JSON."""
    window: Window[Any]
    """Position of the part, without items."""
    until: datetime | None
    """Moment at which the list changes by itself, and this is no longer a part of it."""


class CachedPages(CachedList[CachedPage]):
    """Parts of a list as JSON.

    Args:
        prefix: Beginning of every key.
        kind: Schema of an entry.
        ttl: Lifetime of a page that no change makes outdated.

    Raises:
        CacheMisuse: An argument cannot work.
    """

    def __init__(
        self,
        cache: Manager,
        database: Database,
        prefix: str,
        kind: type[Schema],
        *,
        ttl: timedelta = Node.ttl,
    ) -> None:
        super().__init__(cache, prefix, CachedPage, ttl=ttl, version=2)
        self._database = database
        self._adapter = TypeAdapter[Page[Any]](Page[kind])  # type: ignore[valid-type]  # known at run time

    def page(
        self,
        group: str,
        wanted: PageQuery,
        read: Callable[[Session], Window[Any]],
        until: Callable[[Session], datetime | None] = lambda _: None,
    ) -> CachedPage:
        """Return a part of the list, from a storage or read.

        Args:
            group: The list's filter, as in `invalidate_list`; empty for none.
            wanted: The part, and the filter.
            read: Reads the part.
            until: Returns when the list changes by itself, as where an entry is to be published.

        Raises:
            ValidationFailed: The cursor was not made by this list.
        """

        def load() -> CachedPage:
            with self._database.latest() as session:
                # First the end: what comes out meanwhile is in the part, or ends it at once.
                end, window = until(session), read(session)
                body = self._adapter.dump_json(self._adapter.validate_python(window))
            return CachedPage(body, replace(window, items=()), end)

        page = self.get(group, wanted, load)
        if page.until is not None and page.until <= utc_now():
            page = self.get(group, wanted, load, reload=True)
        return page
