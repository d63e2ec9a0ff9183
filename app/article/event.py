"""What the writes of articles tell the rest of the application."""

from __future__ import annotations

from datetime import datetime, timedelta

from app.article.model import Article
from strongback.database import utc_now
from strongback.outbox import Outbox

CHANGED = "article:changed"
"""An article is new, other, or gone, or has become visible: whoever copies it reads it again."""
PUBLISHED = "article:published"
"""An article is out. It may be so no longer, and not yet where clocks differ: consumers check."""
REMOVED = "article:removed"
"""An article is gone for everybody, and what belongs to it is to be deleted."""


class ArticleEvents:
    """Says what has happened, in the transaction in which it happens."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    def changed(self, article_id: int) -> None:
        """Tell that an article is new, other or gone. Its row must be locked, or new."""
        self._outbox.emit(CHANGED, {"article_id": article_id}, key=f"article:{article_id}")

    def removed(self, article_id: int) -> None:
        """Tell that what belongs to an article is to be deleted."""
        self._outbox.emit(REMOVED, {"article_id": article_id})

    def written(
        self, article: Article, earlier: datetime | None, *, is_import: bool = False
    ) -> None:
        """Tell that an article was written and, where that is so, that it has come out.

        Args:
            article: As it is now, its row written.
            earlier: From when on readers saw it before; None for a draft and a new one.
            is_import: Announce it only if its moment lies ahead.
        """
        self.changed(article.id)
        now, moment = utc_now(), article.published_at
        if moment is None or moment == earlier:
            return
        if moment > now:
            self._schedule(article.id, moment - now)
        elif (earlier is None or earlier > now) and not is_import:
            self._outbox.emit(PUBLISHED, {"article_id": article.id})

    def _schedule(self, article_id: int, wait: timedelta) -> None:
        # Without a key, because a message for next year must not hold up what comes before it.
        for topic in (CHANGED, PUBLISHED):
            self._outbox.emit(topic, {"article_id": article_id}, delay=wait)
