"""Events of articles."""

from __future__ import annotations

from datetime import datetime, timedelta

from app.article.model import Article
from strongback.database import utc_now
from strongback.outbox import Outbox

CHANGED = "article:changed"
"""An article was created, changed, deleted, or has become visible: copies have to be updated."""
PUBLISHED = "article:published"
"""An article was published. Consumers check whether it still is, or is already."""
LIKED = "article:liked"
"""Somebody has liked an article, for the first time since it was told."""
REMOVED = "article:removed"
"""An article was deleted for all readers, and its remains have to be deleted."""

GATHERED = timedelta(hours=1)
"""Time in which likes are gathered before they are told."""


class ArticleEvents:
    """Emits events, in the transaction of their cause."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    def changed(self, article_id: int) -> None:
        """Emit a change of an article, whose row must be locked or new."""
        self._outbox.emit(CHANGED, {"article_id": article_id}, key=f"article:{article_id}")

    def removed(self, article_id: int) -> None:
        """Emit that the remains of an article have to be deleted."""
        self._outbox.emit(REMOVED, {"article_id": article_id})

    def liked(self, article_id: int) -> None:
        """Emit that an article is liked, an hour later: likes until then are told with it.

        The article must be locked.
        """
        key = f"article:{article_id}"
        if not self._outbox.has(LIKED, key):
            payload = {"article_id": article_id, "since": utc_now().isoformat()}
            self._outbox.emit(LIKED, payload, key=key, delay=GATHERED)

    def written(
        self, article: Article, earlier: datetime | None, *, is_import: bool = False
    ) -> None:
        """Emit that an article was written and, if so, published.

        Args:
            article: The article, with its row written.
            earlier: Its previous publication date; None for a draft or a new article.
            is_import: Announce it only if its publication date is in the future.
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
