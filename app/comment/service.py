"""Rules of comments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

from sqlalchemy import select

from app.comment.exceptions import CommentNotFound
from app.comment.model import Comment
from app.comment.query import BY_AGE, INDEX
from app.core.permission import Permission
from strongback.auth.principal import Principal
from strongback.database import Database, delete_in_batches, transactional
from strongback.exceptions import Forbidden
from strongback.paging import Window, read_page
from strongback.schema import PageQuery


class Articles(Protocol):
    """What comments need to know of articles; `main` says who knows it."""

    def locate(self, slug: str) -> int:
        """The number of the published article of this name; raises NotFound."""
        ...

    def is_open(self, number: int) -> bool:
        """Whether everybody may read the article of this number."""
        ...

    def count(self, number: int, counter: Literal["comments"], step: int) -> None:
        """Move an article's counter and keep the article from others; raises NotFound."""
        ...


class CommentService:
    """Reads and writes comments.

    Args:
        database: Where they are.
        articles: What they belong to.
    """

    def __init__(self, database: Database, articles: Articles) -> None:
        self.database = database
        self._articles = articles

    def list(self, slug: str, wanted: PageQuery) -> Window[Comment]:
        """A part of an article's comments, oldest first.

        Raises:
            NotFound: No published article has this slug.
        """
        query = select(Comment).where(Comment.article_id == self._articles.locate(slug))
        return read_page(self.database.session, query, BY_AGE, wanted, index=INDEX)

    def get(self, number: int) -> Comment:
        """A comment below a published article.

        Raises:
            CommentNotFound: There is none of this number.
        """
        comment = self.database.session.get(Comment, number)
        if comment is None or not self._articles.is_open(comment.article_id):
            raise CommentNotFound
        return comment

    def commenters(self, article_id: int, after: str, limit: int) -> Sequence[str]:
        """The names that come after this one of who has commented an article, in order."""
        query = select(Comment.author).where(
            Comment.article_id == article_id, Comment.author > after
        )
        query = query.distinct().order_by(Comment.author).limit(limit)
        return self.database.session.scalars(query).all()

    @transactional
    def create(self, slug: str, body: str, author: str) -> Comment:
        """Comment a published article.

        Raises:
            NotFound: There is none with this slug.
        """
        # The counter first: it locks the article, which gives all writers below it one order.
        article_id = self._articles.locate(slug)
        self._articles.count(article_id, "comments", 1)
        comment = Comment(article_id=article_id, author=author, body=body)
        self.database.session.add(comment)
        self.database.session.flush()
        return comment

    def clear(self, article_id: int) -> int:
        """Delete the comments of an article, a batch at a time; returns how many."""
        return delete_in_batches(self.database, Comment.id, Comment.article_id == article_id)

    @transactional
    def delete(self, number: int, by: Principal) -> None:
        """Delete a comment.

        Raises:
            CommentNotFound: There is none of this number.
            Forbidden: It belongs to somebody else.
        """
        session = self.database.session
        comment = session.get(Comment, number)
        if comment is None:
            raise CommentNotFound
        if comment.author != by.username and not by.may(Permission.COMMENT_MANAGE):
            raise Forbidden
        self._articles.count(comment.article_id, "comments", -1)
        # Nobody else deletes it now, since the counter has locked the article.
        if session.get(Comment, number, populate_existing=True) is None:
            raise CommentNotFound  # somebody was faster; the counter's move is undone with this
        session.delete(comment)
