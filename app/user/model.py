"""An account as it is stored."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import JSON, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from strongback.database import Base, Identified, Timestamps, utc_now
from strongback.schema import Validators
from strongback.text import normalize

USERNAME_PATTERN = r"^[a-z0-9](?:[a-z0-9_-]{1,30})[a-z0-9]$"
USERNAME_LENGTH = 32
EMAIL_LENGTH = 254
PHONE_LENGTH = 16


class User(Identified, Timestamps, Base):
    """An account. Its name never changes: other tables refer to it by name.

    Address and number are what the owner claims. They are not unique, because refusing one that
    is taken would tell anybody who asks whether its owner has an account. A number that was proven
    by a code is: it signs its owner in.
    """

    __tablename__ = "user"

    username: Mapped[str] = mapped_column(String(USERNAME_LENGTH), unique=True)
    password_hash: Mapped[str | None] = mapped_column(String(255))
    """An argon2id hash; none means that nobody can sign in."""
    password_changed_at: Mapped[datetime | None]
    """When the owner last replaced the password."""
    email: Mapped[str | None] = mapped_column(String(EMAIL_LENGTH))
    """An unproven address."""
    phone: Mapped[str | None] = mapped_column(String(PHONE_LENGTH))
    """The number as claimed (E.164)."""
    proven_phone: Mapped[str | None] = mapped_column(String(PHONE_LENGTH), index=True, unique=True)
    """The same number, once a code that was sent to it came back."""
    roles: Mapped[list[str]] = mapped_column(JSON)
    disabled: Mapped[bool] = mapped_column(default=False)

    @property
    def phone_proven(self) -> bool:
        """Whether the owner has proven the number, and may sign in by it."""
        return self.proven_phone is not None

    @property
    def validators(self) -> Validators:
        """What tells this state from another."""
        return Validators(f"{self.id}-{self.updated_at:%Y%m%d%H%M%S%f}", self.updated_at)


class Follow(Base):
    """That an account wants to hear of what another one publishes."""

    __tablename__ = "follow"

    # In this order, since it is asked for the followers of an account, in the order of their names.
    followed: Mapped[str] = mapped_column(ForeignKey("user.username"), primary_key=True)
    follower: Mapped[str] = mapped_column(ForeignKey("user.username"), primary_key=True, index=True)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


def normalize_username(name: str) -> str:
    """Fold spellings that people take for the same name into one (Unicode NFKC, case)."""
    return normalize("NFKC", name).strip().casefold()
