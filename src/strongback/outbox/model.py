"""An outbox message and an inbox entry as they are stored."""

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
    """Where a message is on its way. Delivered ones are deleted."""

    WAITING = "waiting"
    """To be given to the broker once it is due."""
    SENT = "sent"
    """Given to the broker; given again if nothing is heard of it for a while."""
    RUNNING = "running"
    """Its consumer is at work; given to the broker again if that takes longer than it may."""
    DEAD = "dead"
    """Given up, and kept until somebody replays or purges it."""


class OutboxMessage(Identified, Base):
    """One event for one consumer, written in the transaction of what it tells about."""

    __tablename__ = "sb_outbox"
    # The first finds what is due, the second what an ordered message has to wait for, the third how
    # many there are of a state and which is the oldest.
    __table_args__ = (
        Index(None, "available_at", "id"),
        Index(None, "consumer", "key", "id"),
        Index(None, "state", "due_at"),
    )

    consumer: Mapped[str] = mapped_column(String(CONSUMER_LENGTH))
    """The task that it is for."""
    key: Mapped[str | None] = mapped_column(String(KEY_LENGTH))
    """What it is about: a consumer gets the messages of one key one after the other."""
    payload: Mapped[dict[str, Any]] = mapped_column(JSON)
    state: Mapped[str] = mapped_column(String(16), default=MessageState.WAITING.value)
    available_at: Mapped[datetime | None] = mapped_column(default=utc_now)
    """When it is to be given to the broker (again); never while it is dead."""
    attempts: Mapped[int] = mapped_column(default=0)
    """How often its consumer has begun."""
    sendings: Mapped[int] = mapped_column(default=0)
    """How often it was given to the broker since its consumer last began."""
    request_id: Mapped[str | None] = mapped_column(String(128))
    """The request that caused it."""
    job_id: Mapped[str | None] = mapped_column(String(36))
    """The record of whoever watches this work, if anybody does."""
    error: Mapped[str | None] = mapped_column(LongText)
    """Traceback of the last attempt that failed."""
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    due_at: Mapped[datetime | None] = mapped_column(default=utc_now)
    """When it was first to be done: what makes it late. Like the next one it may be lacking: while
    a release rolls out, the one before writes rows without it."""
    updated_at: Mapped[datetime | None] = mapped_column(default=utc_now, onupdate=utc_now)
    """When `available_at` was reckoned: a moment to come means that the clock was set back."""


class InboxEntry(Base):
    """That a message has had its effect; written in the effect's own transaction.

    A message may be delivered more than once. Whoever comes second finds this and does nothing.
    """

    __tablename__ = "sb_inbox"

    message_id: Mapped[int] = mapped_column(Identifier, primary_key=True, autoincrement=False)
    consumer: Mapped[str] = mapped_column(String(CONSUMER_LENGTH))
    handled_at: Mapped[datetime] = mapped_column(default=utc_now, index=True)
