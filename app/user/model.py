"""Tables of accounts and followers."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import JSON, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from app.core import API
from strongback.database import Base, Identified, Timestamps, utc_now
from strongback.schema import Validators
from strongback.text import normalize

USERNAME_PATTERN = r"^[a-z0-9](?:[a-z0-9_-]{1,30})[a-z0-9]$"
USERNAME_LENGTH = 32
EMAIL_LENGTH = 254
PHONE_LENGTH = 16
LOCALE_LENGTH = 16
VERSION_LENGTH = 8
FILE_LENGTH = 32  # of the id of a file


class User(Identified, Timestamps, Base):
    """An account. Its name never changes: other tables refer to it by name.

    E-mail address and number are unverified and not unique: refusing one that is taken would tell
    whether its owner has an account. A number that was verified by a code is unique, and its owner
    can sign in by it. So is an address that was verified by a link, and its owner gets mail.
    """

    __tablename__ = "user"

    username: Mapped[str] = mapped_column(String(USERNAME_LENGTH), unique=True)
    password_hash: Mapped[str | None] = mapped_column(String(255))
    """Argon2id hash; without one, nobody can sign in by password."""
    password_changed_at: Mapped[datetime | None]
    """Time of the last change of password."""
    email: Mapped[str | None] = mapped_column(String(EMAIL_LENGTH))
    """Unverified e-mail address."""
    proven_email: Mapped[str | None] = mapped_column(String(EMAIL_LENGTH), index=True, unique=True)
    """E-mail address in lower case, once verified by a link."""
    phone: Mapped[str | None] = mapped_column(String(PHONE_LENGTH))
    """Unverified telephone number (E.164)."""
    proven_phone: Mapped[str | None] = mapped_column(String(PHONE_LENGTH), index=True, unique=True)
    """Telephone number, once verified by a code."""
    roles: Mapped[list[str]] = mapped_column(JSON)
    disabled: Mapped[bool] = mapped_column(default=False)
    locale: Mapped[str] = mapped_column(String(LOCALE_LENGTH), default="en", server_default="en")
    """Language of mail to its owner."""
    avatar: Mapped[str | None] = mapped_column(String(FILE_LENGTH))
    """File with its picture."""

    @property
    def phone_proven(self) -> bool:
        """Whether the number was verified."""
        return self.proven_phone is not None

    @property
    def email_proven(self) -> bool:
        """Whether the address was verified."""
        return self.proven_email is not None

    @property
    def avatar_url(self) -> str | None:
        """Address of its picture, a new one for each picture; None if it has none."""
        if self.avatar is None:
            return None
        return f"{API}/users/{self.username}/avatar?v={self.avatar[:VERSION_LENGTH]}"

    @property
    def validators(self) -> Validators:
        """Validators of the current state."""
        return Validators(f"{self.id}-{self.updated_at:%Y%m%d%H%M%S%f}", self.updated_at)


class Follow(Base):
    """One account follows another."""

    __tablename__ = "follow"

    # In this order, since it is asked for the followers of an account, in the order of their names.
    followed: Mapped[str] = mapped_column(ForeignKey("user.username"), primary_key=True)
    follower: Mapped[str] = mapped_column(ForeignKey("user.username"), primary_key=True, index=True)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


def fold_email(address: str) -> str:
    """Fold equivalent spellings of an address into one (Unicode NFKC, case)."""
    return normalize("NFKC", address).strip().casefold()


def normalize_username(name: str) -> str:
    """Fold equivalent spellings of a username into one (Unicode NFKC, case)."""
    return normalize("NFKC", name).strip().casefold()
