"""Tables of codes and of daily counts."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import Date, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from strongback.database import Base, Identified
from strongback.sms.phone import PHONE_LENGTH

HASH_LENGTH = 64
NONCE_LENGTH = 32
PURPOSE_LENGTH = 16


class SmsCode(Identified, Base):
    """A code. A number may have several valid ones, each with a handle of its own.

    The code itself is not stored: it is derived from the nonce and the application's secret, so
    that it can be sent again.
    """

    __tablename__ = "sb_sms_code"

    phone: Mapped[str] = mapped_column(String(PHONE_LENGTH), index=True)
    purpose: Mapped[str] = mapped_column(String(PURPOSE_LENGTH))
    """Purpose of the code."""
    nonce: Mapped[str] = mapped_column(String(NONCE_LENGTH), unique=True)
    """128 random bits: the handle, which reveals nothing about the code."""
    code_hash: Mapped[str] = mapped_column(String(HASH_LENGTH))
    """Keyed hash of number, nonce and code."""
    attempts: Mapped[int] = mapped_column(default=0)
    """Number of attempts."""
    requested_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)
    sent_at: Mapped[datetime | None]
    """Time at which the provider accepted it."""
    used_at: Mapped[datetime | None]
    """Time of the successful attempt."""


class SmsQuota(Identified, Base):
    """Number of messages to a number, for an address or in all on one day (UTC)."""

    __tablename__ = "sb_sms_quota"
    __table_args__ = (UniqueConstraint("key", "day"),)

    key: Mapped[str] = mapped_column(String(HASH_LENGTH))
    """Keyed hash: neither numbers nor addresses are stored."""
    day: Mapped[date] = mapped_column(Date, index=True)
    spent: Mapped[int]
