"""What is cached of comments: the pages that everybody gets, ready to be sent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import select

from app.comment.model import Comment
from app.comment.query import BY_AGE, INDEX
from app.comment.schema import CommentOut
from strongback.cache import CachedList, CacheInvalidator, Manager, StorageOptions
from strongback.database import Database
from strongback.paging import Window, read_page
from strongback.schema import Page, PageQuery

STORAGES: list[str | StorageOptions] = [
    {"storage": "local", "ttl": timedelta(seconds=2)},
    "redis",
]

_PAGE: TypeAdapter[Page[CommentOut]] = TypeAdapter(Page[CommentOut])


Locate = Callable[[str], int | None]
"""The id of the published article of a slug; None if there is none."""


@dataclass(frozen=True, slots=True)
class CommentPage:
    """A part of an article's comments as it is answered."""

    body: bytes
    """JSON."""
    page_size: int
    page: int | None
    total: int | None
    next_cursor: str | None
    total_is_bounded: bool

    @property
    def window(self) -> Window[Any]:
        """Which part it is."""
        return Window(
            (), self.page_size, self.page, self.total, self.next_cursor, self.total_is_bounded
        )


class CommentPages:
    """Reads comments as they are answered.

    Args:
        database: Where they are.
        cache: Where they are kept.
        locate: Finds the article.
    """

    def __init__(self, database: Database, cache: Manager, locate: Locate) -> None:
        self._database = database
        self._locate = locate
        self._lists = CachedList(cache, "comment-list", CommentPage, storages=STORAGES)

    def list(self, slug: str, wanted: PageQuery) -> CommentPage | None:
        """A part of an article's comments, oldest first; None if no published one has this slug.

        Raises:
            ValidationFailed: The cursor was not made by this list.
        """
        article_id = self._locate(slug)
        if article_id is None:
            return None
        key = wanted.model_dump_json(exclude_defaults=True)
        return self._lists.get(str(article_id), key, lambda: self._load(article_id, wanted))

    def _load(self, article_id: int, wanted: PageQuery) -> CommentPage:
        query = select(Comment).where(Comment.article_id == article_id)
        with self._database.latest() as session:
            window = read_page(session, query, BY_AGE, wanted, index=INDEX)
            body = _PAGE.dump_json(_PAGE.validate_python(window))
        return CommentPage(
            body,
            window.page_size,
            window.page,
            window.total,
            window.next_cursor,
            window.total_is_bounded,
        )

    def watch(self, invalidator: CacheInvalidator) -> None:
        """Forget an article's comments when one of them is new or gone."""
        invalidator.invalidate_list(Comment, self._lists, lambda comment: [str(comment.article_id)])
