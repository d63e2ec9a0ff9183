"""Rules of comments."""

from __future__ import annotations

from typing import Protocol

from sqlalchemy import select

from app.comment.model import Comment
from app.core.database import Database
from app.core.paging import Order, Window, read_page
from app.core.schema import PageQuery

BY_AGE = Order(Comment.id, Comment.id, descending=False)


class Articles(Protocol):
    """What comments need to know of articles; `main` says who knows it."""

    def locate(self, slug: str) -> int:
        """The number of the published article of this name; raises NotFound."""
        ...


class CommentService:
    """Reads comments."""

    def __init__(self, database: Database, articles: Articles) -> None:
        self.database = database
        self._articles = articles

    def list(self, slug: str, wanted: PageQuery) -> Window[Comment]:
        """A part of an article's comments, oldest first.

        Raises:
            NotFound: No published article has this slug.
        """
        query = select(Comment).where(Comment.article_id == self._articles.locate(slug))
        return read_page(self.database.session, query, BY_AGE, wanted)
