"""Table of notifications."""

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
    """A notification of one account about one event."""

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
    """Name of the event."""
    subject: Mapped[str] = mapped_column(String(SUBJECT_LENGTH))
    """Subject of the event, such as `article:7`, which may be deleted by now."""
    actor: Mapped[str] = mapped_column(String(ACTOR_LENGTH))
    """Username of the account that caused it; not a foreign key."""
    data: Mapped[dict[str, Any]] = mapped_column(JSON)
    """Details at the time of the event, so that lists need no other table."""
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    read_at: Mapped[datetime | None]
