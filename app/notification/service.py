"""Rules of notifications."""

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
"""So many have been told; whose names come after this one are still to be."""
BATCH = 500
"""Rows that one transaction writes: a long one would hold up everybody who writes."""
BY_AGE = Order(Notification.id, Notification.id)


class Article(Protocol):
    """What notifications say of an article."""

    @property
    def id(self) -> int:
        """Number."""
        ...

    @property
    def slug(self) -> str:
        """Name in addresses."""
        ...

    @property
    def title(self) -> str:
        """Title."""
        ...

    @property
    def author(self) -> str:
        """Name of the account that wrote it."""
        ...

    @property
    def published_at(self) -> datetime | None:
        """From when on readers see it."""
        ...


class Articles(Protocol):
    """What notifications need to know of articles; `main` says who knows it."""

    def find(self, number: int) -> Article | None:
        """The article of this number, published or not."""
        ...


class Audience(Protocol):
    """Accounts that want to hear of an article; `main` names those that there are."""

    def __call__(self, article: Article, after: str, limit: int) -> Sequence[str]:
        """The first of their names that come after this one, in order, each once."""
        ...


@dataclass(frozen=True, slots=True)
class Occasion:
    """What is told, whoever is told."""

    kind: str
    subject: str
    actor: str
    data: dict[str, str]


class NotificationService:
    """Tells accounts what happened, and lists what they were told.

    Args:
        database: Where notifications are kept.
        outbox: Continues what is too much for one transaction.
        articles: What there is to tell of.
        audiences: Who wants to hear of it; who is in several hears it once.
        kept: How long a notification is kept, read or not.
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
        """Tell an article's audience that it is out, `BATCH` of them now, the rest by and by.

        An article that is out no longer is passed over; one that is not out yet is come back to.
        Nobody hears of an article twice, however often it is announced.

        Args:
            article_id: Number of the article.
            after: Name up to which its audience has been told.
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
        """The next names of all audiences together: the first of each suffice for that."""
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
        """A part of what an account was told, the latest first."""
        query = select(Notification).where(Notification.recipient == recipient)
        index = "ix_notification_recipient_id"
        if wanted.unread:
            query = query.where(Notification.read_at.is_(None))
            index = "ix_notification_recipient_read_at_id"
        return read_page(self.database.session, query, BY_AGE, wanted, index=index)

    @transactional
    def mark_read(self, recipient: str, numbers: Sequence[int]) -> None:
        """Note that an account has read these; those of others are passed over."""
        theirs = Notification.id.in_(numbers) & (Notification.recipient == recipient)
        query = update(Notification).where(theirs, Notification.read_at.is_(None))
        self.database.session.execute(
            query.values(read_at=utc_now()), execution_options={"synchronize_session": False}
        )

    def mark_all_read(self, recipient: str) -> None:
        """Note that an account has read everything that it has been told until now."""
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
        """Delete notifications that are older than they are kept; returns how many."""
        total = 0
        while count := self._clean_batch():
            total += count
        return total

    @transactional
    def _clean_batch(self) -> int:
        """Delete what is old among the oldest: ids grow with time, so that no index is needed."""
        session, before = self.database.session, utc_now() - self._kept
        oldest = select(Notification.id, Notification.created_at).order_by(Notification.id)
        rows = session.execute(oldest.limit(BATCH)).all()
        old = [row.id for row in rows if row.created_at < before]
        if old:
            session.execute(delete(Notification).where(Notification.id.in_(old)))
        return len(old)
