"""Deletes what belongs to an article that is gone for everybody, and then its row.

A deletion takes comments and likes along. Up to `MOST_AT_ONCE` of them go with the article in one
transaction. With more of them that transaction would lock all writers out for minutes: it then only
takes the article away from everybody, and a task deletes the rest, a batch in a transaction. What
it has done stays done if it is killed, and it is begun anew until nothing is left.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.article.model import Article, ArticleLike
from strongback.database import Database, delete_in_batches

MOST_AT_ONCE = 500
"""Maximum number of comments and likes that are deleted together with their article."""


def is_at_once(article: Article) -> bool:
    """Whether an article is deleted together with everything that belongs to it."""
    return article.comments + article.likes <= MOST_AT_ONCE


def take_away(article: Article) -> None:
    """Make an article invisible to everybody, and free its slug."""
    article.slug = _nowhere(article.id)
    article.published_at = None
    article.tags.clear()


def _nowhere(article_id: int) -> str:
    """A unique slug that neither an address nor an import can have."""
    return f"/{article_id}"


class ArticleRemoval:
    """Deletes invisible articles.

    Args:
        database: Stores the articles.
    """

    def __init__(self, database: Database) -> None:
        self.database = database
        self._clear: list[Callable[[int], object]] = []

    def clear_too(self, clear: Callable[[int], object]) -> None:
        """Add a function that deletes a batch of another slice's rows of an article by its id."""
        self._clear.append(clear)

    def finish(self, article_id: int) -> None:
        """Delete an invisible article with all of its rows; a visible one stays."""
        with self.database.scope():
            if self._find(self.database.session, article_id) is None:
                return
        for clear in self._clear:
            clear(article_id)
        theirs = ArticleLike.article_id == article_id
        delete_in_batches(self.database, ArticleLike.username, theirs)
        self.database.transact(lambda session: session.delete(self._find(session, article_id)))

    def _find(self, session: Session, article_id: int) -> Article | None:
        query = select(Article).where(
            Article.id == article_id, Article.slug == _nowhere(article_id)
        )
        return session.scalar(query)
