"""An account as it is stored."""

from __future__ import annotations

import unicodedata
from datetime import datetime

from sqlalchemy import JSON, String
from sqlalchemy.orm import Mapped, mapped_column

from app.core.database import Base, Identified, Timestamps
from app.core.schema import Validators

USERNAME_PATTERN = r"^[a-z0-9](?:[a-z0-9_-]{1,30})[a-z0-9]$"
USERNAME_LENGTH = 32
EMAIL_LENGTH = 254
PHONE_LENGTH = 16


class User(Identified, Timestamps, Base):
    """An account. Its name never changes: other tables refer to it by name.

    Address and number are what the owner claims. They are not unique, because refusing one that
    is taken would tell anybody who asks whether its owner has an account; what is proven by a code
    is to be unique, and that is for whoever sends the code to record.
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
    """An unproven number (E.164)."""
    roles: Mapped[list[str]] = mapped_column(JSON)
    disabled: Mapped[bool] = mapped_column(default=False)

    @property
    def validators(self) -> Validators:
        """What tells this state from another."""
        return Validators(f"{self.id}-{self.updated_at:%Y%m%d%H%M%S%f}", self.updated_at)


def normalize_username(name: str) -> str:
    """Fold spellings that people take for the same name into one (Unicode NFKC, case)."""
    return unicodedata.normalize("NFKC", name).strip().casefold()
