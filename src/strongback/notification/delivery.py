"""Delivers notifications: stores them, and starts the other ways, each by a consumer of its own."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import insert, select

from strongback.database import Database
from strongback.log.setup import get_logger
from strongback.notification.kind import Kind, Kinds, Way
from strongback.notification.notification_model import Notification
from strongback.notification.preference import Preferences
from strongback.outbox import Outbox

log = get_logger(__name__)

TOPICS = {way: f"notification:{way}" for way in Way if way is not Way.INBOX}
"""Topic of the outbox for each further way, also the name of its consumer."""
SIZES = {Way.REALTIME: 100, Way.MAIL: 50, Way.SMS: 1}
"""Notifications of one message, so that its transaction is short. Of text messages one: what fails
must not send those before it again."""


class Delivery:
    """Stores notifications, and hands those that are new to the other ways."""

    def __init__(
        self, database: Database, outbox: Outbox, kinds: Kinds, preferences: Preferences
    ) -> None:
        self.database = database
        self._outbox = outbox
        self._kinds = kinds
        self._preferences = preferences

    def store(
        self, kind: str, subject: str, to: Collection[int], data: dict[str, Any], actor: str | None
    ) -> None:
        """Store a notification for those who have not been told, in the current transaction."""
        declared = self._kinds.get(kind)
        if declared is None:
            log.warning("notification_kind_unknown", kind=kind)
            return
        missing = sorted(set(to) - self._told(kind, subject, to))
        reached = self._preferences.reached(declared, missing)
        common = {"kind": kind, "subject": subject, "data": data, "actor": actor}
        rows = [
            common | {"recipient": each, "listed": Way.INBOX in reached[each]} for each in missing
        ]
        if rows:
            self.database.session.execute(insert(Notification), rows)
            self._start(declared, subject, reached)

    def _told(self, kind: str, subject: str, to: Collection[int]) -> set[int]:
        query = select(Notification.recipient).where(*_about(kind, subject, to))
        return set(self.database.session.scalars(query))

    def _start(self, kind: Kind, subject: str, reached: dict[int, set[Way]]) -> None:
        """Start the other ways for the notifications that were stored just now."""
        query = select(Notification.id, Notification.recipient)
        rows = self.database.session.execute(query.where(*_about(kind.name, subject, reached)))
        numbers = {row.recipient: row.id for row in rows}
        for way, topic in TOPICS.items():
            ids = [numbers[each] for each in reached if way in reached[each]]
            for start in range(0, len(ids), SIZES[way]):
                self._outbox.emit(topic, {"ids": ids[start : start + SIZES[way]]})

    def load(self, ids: Sequence[int]) -> list[tuple[Kind, Notification]]:
        """Notifications with their kinds, as far as both are still there."""
        rows = self.database.session.scalars(
            select(Notification).where(Notification.id.in_(ids)).order_by(Notification.id)
        )
        found = ((self._kinds.get(row.kind), row) for row in rows)
        return [(kind, row) for kind, row in found if kind is not None]


def _about(kind: str, subject: str, to: Collection[int]) -> tuple[Any, ...]:
    mine = Notification.recipient.in_(to)
    return mine, Notification.kind == kind, Notification.subject == subject
