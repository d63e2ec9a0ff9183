"""Tables of tokens and of hourly counts."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from strongback.database import Base, Identified

HASH_LENGTH = 64
NONCE_LENGTH = 32
PURPOSE_LENGTH = 32


class MailToken(Identified, Base):
    """A token in the link of a message, for one use.

    The token itself is not stored: it is derived from the nonce and the application's secret, so
    that the message can be sent again.
    """

    __tablename__ = "sb_mail_token"

    purpose: Mapped[str] = mapped_column(String(PURPOSE_LENGTH))
    """Purpose of the token."""
    account_id: Mapped[int] = mapped_column(BigInteger, index=True)
    """Account that it is for."""
    state_hash: Mapped[str] = mapped_column(String(HASH_LENGTH))
    """Keyed hash of what must not have changed until it is used."""
    nonce: Mapped[str] = mapped_column(String(NONCE_LENGTH), unique=True)
    """128 random bits, which reveal nothing about the token."""
    token_hash: Mapped[str] = mapped_column(String(HASH_LENGTH), unique=True)
    expires_at: Mapped[datetime] = mapped_column(index=True)
    used_at: Mapped[datetime | None]


class MailQuota(Identified, Base):
    """Number of messages to an address in one hour (UTC)."""

    __tablename__ = "sb_mail_quota"
    __table_args__ = (UniqueConstraint("key", "hour"),)

    key: Mapped[str] = mapped_column(String(HASH_LENGTH))
    """Keyed hash: no address is stored."""
    hour: Mapped[datetime] = mapped_column(index=True)
    spent: Mapped[int]
