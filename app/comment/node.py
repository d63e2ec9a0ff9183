"""What is cached of comments: the pages that everybody gets, ready to be sent."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import select

from app.comment.model import Comment
from app.comment.query import BY_AGE
from app.comment.schema import CommentOut
from app.core.cache import Manager, Node, StorageOptions
from app.core.database import Database
from app.core.paging import Window, read_page
from app.core.schema import Page, PageQuery

STORAGES: list[str | StorageOptions] = [
    {"storage": "local", "ttl": timedelta(seconds=2)},
    "redis",
]

_PAGE: TypeAdapter[Page[CommentOut]] = TypeAdapter(Page[CommentOut])


@dataclass(frozen=True, slots=True)
class CommentPage:
    """A part of an article's comments as it is answered."""

    body: bytes
    """JSON."""
    page_size: int
    page: int | None
    total: int | None
    next_cursor: str | None

    @property
    def window(self) -> Window[Any]:
        """Which part it is."""
        return Window((), self.page_size, self.page, self.total, self.next_cursor)


class CommentListing(Node[str]):
    """A name for the present state of an article's comments, new after a change."""

    storages = STORAGES
    prefix = "comment-listing"
    ttl = timedelta(hours=1)

    def __init__(self, article_id: int) -> None:
        self._article_id = article_id

    def key(self) -> str:
        """The article's number."""
        return str(self._article_id)

    def load(self) -> str | None:
        """A name that was never used."""
        return secrets.token_hex(8)


class CommentListNode(Node[CommentPage]):
    """A part of an article's comments, as long as nothing changes in them."""

    storages = STORAGES
    prefix = "comment-list"

    def __init__(
        self, listing: str, article_id: int, wanted: PageQuery, database: Database
    ) -> None:
        self._listing = listing
        self._article_id = article_id
        self._wanted = wanted
        self._database = database

    def key(self) -> str:
        """The comments' state, and what was asked for."""
        wanted = self._wanted.model_dump_json(exclude_defaults=True)
        return f"{self._article_id}-{self._listing}{wanted}"

    def load(self) -> CommentPage | None:
        """Read it, and write the answer."""
        query = select(Comment).where(Comment.article_id == self._article_id)
        with self._database.latest() as session:
            window = read_page(session, query, BY_AGE, self._wanted)
            body = _PAGE.dump_json(_PAGE.validate_python(window))
        return CommentPage(body, window.page_size, window.page, window.total, window.next_cursor)


class CommentPages:
    """Reads comments as they are answered.

    Args:
        database: Where they are.
        cache: Where they are kept.
        locate: The number of the published article of a name; None if there is none.
    """

    def __init__(
        self, database: Database, cache: Manager, locate: Callable[[str], int | None]
    ) -> None:
        self._database = database
        self._cache = cache
        self._locate = locate
        cache.register_node(CommentListing, CommentListNode)

    def list(self, slug: str, wanted: PageQuery) -> CommentPage | None:
        """A part of an article's comments, oldest first; None if no published one has this slug.

        Raises:
            ValidationFailed: The cursor was not made by this list.
        """
        article_id = self._locate(slug)
        if article_id is None:
            return None
        listing = self._cache.get(CommentListing(article_id)) or ""
        return self._cache.get(CommentListNode(listing, article_id, wanted, self._database))
