"""Models of an outbox message and an inbox entry."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, Index, String, Text
from sqlalchemy.dialects import mysql
from sqlalchemy.orm import Mapped, mapped_column

from strongback.database import Base, Identified, Identifier, utc_now

CONSUMER_LENGTH = 100
KEY_LENGTH = 191

# MySQL's TEXT ends at 64 KiB, and a traceback of a recursion is longer.
LongText = Text().with_variant(mysql.MEDIUMTEXT(), "mysql")


class MessageState(StrEnum):
    """State of a message. Messages that are done are deleted."""

    WAITING = "waiting"
    """Is sent to the broker once it is due."""
    SENT = "sent"
    """Was sent to the broker; is sent again when its consumer does not begin in time."""
    RUNNING = "running"
    """Its consumer runs; is sent again when that exceeds its time limit."""
    DEAD = "dead"
    """Has failed for good; is kept until it is replayed or purged."""


class OutboxMessage(Identified, Base):
    """One event for one consumer."""

    __tablename__ = "sb_outbox"
    # The first finds due messages, the second the predecessors of an ordered message, the third
    # counts a state and finds its oldest message.
    __table_args__ = (
        Index(None, "available_at", "id"),
        Index(None, "consumer", "key", "id"),
        Index(None, "state", "due_at"),
    )

    consumer: Mapped[str] = mapped_column(String(CONSUMER_LENGTH))
    """Task that it is for."""
    key: Mapped[str | None] = mapped_column(String(KEY_LENGTH))
    """Subject: a consumer gets the messages of one key one after the other."""
    payload: Mapped[dict[str, Any]] = mapped_column(JSON)
    state: Mapped[str] = mapped_column(String(16), default=MessageState.WAITING.value)
    available_at: Mapped[datetime | None] = mapped_column(default=utc_now)
    """When it is sent to the broker (again); null while it is dead."""
    attempts: Mapped[int] = mapped_column(default=0)
    """Attempts that its consumer has begun."""
    sendings: Mapped[int] = mapped_column(default=0)
    """Times that it was sent to the broker since its last attempt began."""
    request_id: Mapped[str | None] = mapped_column(String(128))
    """Request that caused it."""
    job_id: Mapped[str | None] = mapped_column(String(36))
    """Job that it starts."""
    error: Mapped[str | None] = mapped_column(LongText)
    """Traceback of the last failed attempt."""
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    due_at: Mapped[datetime | None] = mapped_column(default=utc_now)
    """When it is due for the first time; the lag counts from then. Null, like the next one, in rows
    that the previous release writes during a rollout."""
    updated_at: Mapped[datetime | None] = mapped_column(default=utc_now, onupdate=utc_now)
    """When `available_at` was set: in the future after the clock was set back."""


class InboxEntry(Base):
    """A message that has had its effect; written in the transaction of the effect.

    A message may be delivered more than once: the second delivery finds this and does nothing.
    """

    __tablename__ = "sb_inbox"

    message_id: Mapped[int] = mapped_column(Identifier, primary_key=True, autoincrement=False)
    consumer: Mapped[str] = mapped_column(String(CONSUMER_LENGTH))
    handled_at: Mapped[datetime] = mapped_column(default=utc_now, index=True)
