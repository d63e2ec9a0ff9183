"""Cached pages of comments."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import select

from app.comment.model import Comment
from app.comment.query import BY_AGE, INDEX
from app.comment.schema import CommentOut
from strongback.cache import CachedPage, CachedPages, CacheInvalidator, Manager
from strongback.database import Database
from strongback.paging import read_page
from strongback.schema import PageQuery

Locate = Callable[[str], int | None]
"""Returns the id of a published article by its slug, or None."""


class CommentPages:
    """Reads comments from the cache.

    Args:
        database: Stores the comments.
        cache: Caches the pages.
        locate: Returns the id of a published article by its slug.
    """

    def __init__(self, database: Database, cache: Manager, locate: Locate) -> None:
        self._pages = CachedPages(cache, database, "comment-list", CommentOut)
        self._locate = locate

    def list(self, slug: str, wanted: PageQuery) -> CachedPage | None:
        """Return an article's comments, oldest first; None if no published article has the slug.

        Raises:
            ValidationFailed: The cursor is invalid.
        """
        if (article_id := self._locate(slug)) is None:
            return None
        query = select(Comment).where(Comment.article_id == article_id)
        return self._pages.page(
            str(article_id),
            wanted,
            lambda session: read_page(session, query, BY_AGE, wanted, index=INDEX),
        )

    def watch(self, invalidator: CacheInvalidator) -> None:
        """Invalidate the comments of an article when they change."""
        invalidator.invalidate_list(Comment, self._pages, lambda each: [str(each.article_id)])
