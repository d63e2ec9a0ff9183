"""Announces published articles to their audiences."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Protocol

from strongback.database import Database, transactional, utc_now
from strongback.notification.kind import Kind
from strongback.notification.sender import Notifications
from strongback.outbox import Outbox

PUBLISHED = Kind(
    "article:published",
    about="An author whom you follow publishes an article, or one that you have commented on is"
    " published again.",
    text="{actor} published “{title}”.",
)
CONTINUED = "notification:continued"
"""The announcement continues after a username."""
BATCH = 500
"""Accounts per transaction."""


class Article(Protocol):
    """An article, as notifications need it."""

    @property
    def id(self) -> int:
        """Id."""
        ...

    @property
    def slug(self) -> str:
        """Slug."""
        ...

    @property
    def title(self) -> str:
        """Title."""
        ...

    @property
    def author(self) -> str:
        """Username of the author."""
        ...

    @property
    def published_at(self) -> datetime | None:
        """Publication date."""
        ...


class Articles(Protocol):
    """The interface to articles."""

    def find(self, number: int) -> Article | None:
        """The article with an id, published or not."""
        ...


class Audience(Protocol):
    """Accounts that are notified of an article."""

    def __call__(self, article: Article, after: str, limit: int) -> Sequence[str]:
        """The next distinct usernames, in alphabetical order."""
        ...


class Announcements:
    """Notifies the audiences of published articles.

    Args:
        database: Has the transactions.
        outbox: Continues large announcements in further transactions.
        notifications: Sends the notifications.
        articles: Looks up articles.
        audiences: Accounts to notify; members of several are notified once.
    """

    def __init__(
        self,
        database: Database,
        outbox: Outbox,
        notifications: Notifications,
        articles: Articles,
        audiences: Iterable[Audience],
    ) -> None:
        self.database = database
        self._outbox = outbox
        self._notifications = notifications
        self._articles = articles
        self._audiences = tuple(audiences)

    @transactional
    def announce(self, article_id: int, after: str = "") -> None:
        """Notify the audience of a published article, `BATCH` accounts at a time.

        Skips an article that is no longer published, and postpones one that is not published yet.

        Args:
            article_id: Id of the article.
            after: Username after which to continue.
        """
        article = self._articles.find(article_id)
        if article is None or article.published_at is None:
            return
        payload = {"article_id": article_id, "after": after}
        wait = article.published_at - utc_now()
        if wait.total_seconds() > 0:
            self._outbox.emit(CONTINUED, payload, delay=wait)
            return
        names = self._audience(article, after)
        data = {"slug": article.slug, "title": article.title}
        subject = f"article:{article.id}"
        self._notifications.send(PUBLISHED, subject, to=names, data=data, actor=article.author)
        if len(names) == BATCH:
            self._outbox.emit(CONTINUED, payload | {"after": names[-1]})

    def _audience(self, article: Article, after: str) -> list[str]:
        """The next usernames of all audiences together."""
        names = {name for each in self._audiences for name in each(article, after, BATCH)}
        return sorted(names)[:BATCH]
