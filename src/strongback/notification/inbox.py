"""The inbox: reads notifications, marks them as read, and deletes old ones."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import timedelta

from sqlalchemy import ColumnElement, Select, delete, func, select, true, update

from strongback.database import Database, changed_rows, transactional, utc_now
from strongback.notification.notification_model import Notification
from strongback.notification.notification_schema import NotificationQuery
from strongback.paging import DEPTH, Order, Window, read_page

BATCH = 500
"""Rows per transaction: a long one would block other writers."""
BY_AGE = Order(Notification.id, Notification.id)


class Inbox:
    """The stored notifications of each account.

    Args:
        kept: Time for which they are kept, read or not.
    """

    def __init__(self, database: Database, kept: timedelta) -> None:
        self.database = database
        self._kept = kept
        self.on_read: Callable[[int, dict[str, object]], object] = lambda *_: None
        """Called in the transaction, with an account and what it has read."""

    def list(self, user_id: int, wanted: NotificationQuery) -> Window[Notification]:
        """A part of the list of an account's notifications, latest first."""
        query = select(Notification).where(*_of(user_id))
        index = "ix_sb_notification_recipient_listed_id"
        if wanted.unread:
            query = query.where(Notification.read_at.is_(None))
            index = "ix_sb_notification_recipient_listed_read_at_id"
        return read_page(self.database.session, query, BY_AGE, wanted, index=index)

    def unread(self, user_id: int) -> int:
        """Number of an account's unread notifications, counted up to `DEPTH` in an index."""
        return self.database.session.scalar(self.count_query(user_id)) or 0

    def count_query(self, user_id: int) -> Select[int]:
        """The query that counts an account's unread notifications."""
        some = select(Notification.id).where(*_of(user_id), Notification.read_at.is_(None))
        return select(func.count()).select_from(some.limit(DEPTH).subquery())

    def unread_of(self, user_ids: Collection[int]) -> dict[int, int]:
        """Numbers of the unread notifications of accounts."""
        query = select(Notification.recipient, func.count()).where(
            Notification.recipient.in_(user_ids),
            Notification.listed == true(),
            Notification.read_at.is_(None),
        )
        rows = self.database.session.execute(query.group_by(Notification.recipient))
        return dict.fromkeys(user_ids, 0) | {row[0]: min(row[1], DEPTH) for row in rows}

    @transactional
    def mark_read(self, user_id: int, ids: Sequence[int]) -> None:
        """Mark notifications of an account as read; those of other accounts are ignored."""
        if self._mark(user_id, ids):
            self.on_read(user_id, {"ids": sorted(set(ids))})

    def mark_all_read(self, user_id: int) -> None:
        """Mark all notifications of an account as read."""
        newest = self.database.session.scalar(
            select(func.max(Notification.id)).where(*_of(user_id))
        )
        while newest is not None and self._mark_batch(user_id, newest):
            pass

    @transactional
    def _mark_batch(self, user_id: int, newest: int) -> bool:
        """Mark some as read; returns whether there may be more."""
        unread = select(Notification.id).where(
            *_of(user_id), Notification.read_at.is_(None), Notification.id <= newest
        )
        ids = self.database.session.scalars(unread.limit(BATCH)).all()
        self._mark(user_id, ids)
        if len(ids) == BATCH:
            return True
        self.on_read(user_id, {"until": newest})
        return False

    def _mark(self, user_id: int, ids: Collection[int]) -> int:
        theirs = (Notification.id.in_(ids), *_of(user_id), Notification.read_at.is_(None))
        read = update(Notification).where(*theirs).values(read_at=utc_now())
        return changed_rows(self.database.session, read) if ids else 0

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


def _of(user_id: int) -> tuple[ColumnElement[bool], ...]:
    return Notification.recipient == user_id, Notification.listed == true()
