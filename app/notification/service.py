"""The notifications."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from sqlalchemy import delete, func, insert, select, update

from app.notification.model import Notification
from app.notification.schema import NotificationQuery
from strongback.database import Database, transactional, utc_now
from strongback.outbox import Outbox
from strongback.paging import Order, Window, read_page

PUBLISHED = "article:published"
CONTINUED = "notification:continued"
"""The announcement continues after a username."""
BATCH = 500
"""Rows per transaction: a long one would block other writers."""
BY_AGE = Order(Notification.id, Notification.id)


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


@dataclass(frozen=True, slots=True)
class Occasion:
    """The content of a notification."""

    kind: str
    subject: str
    actor: str
    data: dict[str, str]


class NotificationService:
    """Writes and lists notifications.

    Args:
        database: Stores the notifications.
        outbox: Continues large announcements in further transactions.
        articles: Looks up articles.
        audiences: Accounts to notify; members of several are notified once.
        kept: Time for which notifications are kept, read or not.
    """

    def __init__(
        self,
        database: Database,
        outbox: Outbox,
        articles: Articles,
        audiences: Iterable[Audience],
        kept: timedelta,
    ) -> None:
        self.database = database
        self._outbox = outbox
        self._articles = articles
        self._audiences = tuple(audiences)
        self._kept = kept

    # Telling

    @transactional
    def announce(self, article_id: int, after: str = "") -> None:
        """Notify the audience of a published article, `BATCH` accounts at a time.

        Skips an article that is no longer published, and postpones one that is not published yet.
        Nobody is notified of an article twice, even if it is announced again.

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
        occasion = Occasion(PUBLISHED, f"article:{article.id}", article.author, data)
        self._tell(occasion, [name for name in names if name != article.author])
        if len(names) == BATCH:
            self._outbox.emit(CONTINUED, payload | {"after": names[-1]})

    def _audience(self, article: Article, after: str) -> list[str]:
        """The next usernames of all audiences together."""
        names = {name for each in self._audiences for name in each(article, after, BATCH)}
        return sorted(names)[:BATCH]

    def _tell(self, occasion: Occasion, names: Sequence[str]) -> None:
        session = self.database.session
        told = select(Notification.recipient).where(
            Notification.recipient.in_(names),
            Notification.kind == occasion.kind,
            Notification.subject == occasion.subject,
        )
        missing = set(names) - set(session.scalars(told))
        rows = [
            {
                "recipient": name,
                "kind": occasion.kind,
                "subject": occasion.subject,
                "actor": occasion.actor,
                "data": occasion.data,
            }
            for name in sorted(missing)
        ]
        if rows:
            session.execute(insert(Notification), rows)

    # Reading

    def list(self, recipient: str, wanted: NotificationQuery) -> Window[Notification]:
        """A part of the list of an account's notifications, latest first."""
        query = select(Notification).where(Notification.recipient == recipient)
        index = "ix_notification_recipient_id"
        if wanted.unread:
            query = query.where(Notification.read_at.is_(None))
            index = "ix_notification_recipient_read_at_id"
        return read_page(self.database.session, query, BY_AGE, wanted, index=index)

    @transactional
    def mark_read(self, recipient: str, numbers: Sequence[int]) -> None:
        """Mark notifications of an account as read; those of other accounts are ignored."""
        theirs = Notification.id.in_(numbers) & (Notification.recipient == recipient)
        query = update(Notification).where(theirs, Notification.read_at.is_(None))
        self.database.session.execute(
            query.values(read_at=utc_now()), execution_options={"synchronize_session": False}
        )

    def mark_all_read(self, recipient: str) -> None:
        """Mark all notifications of an account as read."""
        newest = self.database.session.scalar(
            select(func.max(Notification.id)).where(Notification.recipient == recipient)
        )
        while newest is not None and self._mark_batch(recipient, newest):
            pass

    @transactional
    def _mark_batch(self, recipient: str, newest: int) -> int:
        unread = select(Notification.id).where(
            Notification.recipient == recipient,
            Notification.read_at.is_(None),
            Notification.id <= newest,
        )
        numbers = self.database.session.scalars(unread.limit(BATCH)).all()
        self.mark_read(recipient, numbers)
        return len(numbers)

    # Cleaning up

    def clean(self) -> int:
        """Delete expired notifications; returns their number."""
        total = 0
        while count := self._clean_batch():
            total += count
        return total

    @transactional
    def _clean_batch(self) -> int:
        """Delete expired ones among the oldest by id, which needs no index by time."""
        session, before = self.database.session, utc_now() - self._kept
        oldest = select(Notification.id, Notification.created_at).order_by(Notification.id)
        rows = session.execute(oldest.limit(BATCH)).all()
        old = [row.id for row in rows if row.created_at < before]
        if old:
            session.execute(delete(Notification).where(Notification.id.in_(old)))
        return len(old)
