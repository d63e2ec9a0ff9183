"""A notification as it is stored."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from strongback.database import Base, Identified, utc_now

KIND_LENGTH = 40
SUBJECT_LENGTH = 80
ACTOR_LENGTH = 32


class Notification(Identified, Base):
    """That one account is told of one thing, once."""

    __tablename__ = "notification"
    # The constraint keeps anybody from hearing of a thing twice, the indexes list everything and
    # what is unread.
    __table_args__ = (
        UniqueConstraint("recipient", "kind", "subject"),
        Index(None, "recipient", "id"),
        Index(None, "recipient", "read_at", "id"),
    )

    recipient: Mapped[str] = mapped_column(ForeignKey("user.username"))
    kind: Mapped[str] = mapped_column(String(KIND_LENGTH))
    """What happened: the name of the event."""
    subject: Mapped[str] = mapped_column(String(SUBJECT_LENGTH))
    """What it is about, such as `article:7`; that may be gone by now."""
    actor: Mapped[str] = mapped_column(String(ACTOR_LENGTH))
    """Name of the account whose doing it is; never looked for, so it is no reference."""
    data: Mapped[dict[str, Any]] = mapped_column(JSON)
    """What a list shows, as it was then: a list needs no other table."""
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    read_at: Mapped[datetime | None]
