"""Tables of notifications and of preferences."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from strongback.database import Base, Identified, Identifier, utc_now

KIND_LENGTH = 40
SUBJECT_LENGTH = 80
ACTOR_LENGTH = 32
WAY_LENGTH = 16


class Notification(Identified, Base):
    """A notification of one account about one event, whichever ways it has taken."""

    __tablename__ = "sb_notification"
    # The constraint keeps anybody from hearing of a thing twice, the indexes list everything and
    # what is unread, and count the latter.
    __table_args__ = (
        UniqueConstraint("recipient", "kind", "subject"),
        Index(None, "recipient", "listed", "id"),
        Index(None, "recipient", "listed", "read_at", "id"),
    )

    recipient: Mapped[int] = mapped_column(Identifier)
    """Id of the account. No foreign key: the framework does not know the table of accounts."""
    kind: Mapped[str] = mapped_column(String(KIND_LENGTH))
    """Name of the event."""
    subject: Mapped[str] = mapped_column(String(SUBJECT_LENGTH))
    """Subject of the event, such as `article:7`, which may be deleted by now."""
    actor: Mapped[str | None] = mapped_column(String(ACTOR_LENGTH))
    """Username of the account that caused it, if another one did."""
    data: Mapped[dict[str, Any]] = mapped_column(JSON)
    """Details at the time of the event, so that lists need no other table."""
    listed: Mapped[bool] = mapped_column(default=True)
    """Whether the list has it; others were sent by another way alone."""
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    read_at: Mapped[datetime | None]

    @property
    def values(self) -> dict[str, Any]:
        """Values of the placeholders of its texts."""
        return {"actor": self.actor or "", **self.data}


class Preference(Base):
    """A way that an account has switched on or off for a kind of notification."""

    __tablename__ = "sb_notification_preference"

    user_id: Mapped[int] = mapped_column(Identifier, primary_key=True, autoincrement=False)
    kind: Mapped[str] = mapped_column(String(KIND_LENGTH), primary_key=True)
    way: Mapped[str] = mapped_column(String(WAY_LENGTH), primary_key=True)
    is_on: Mapped[bool]
