"""Codes, and how many messages were sent, as they are stored."""

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
    """A code. A number may have several that are good, each for whoever asked for it.

    The code itself is nowhere: it follows from the nonce and the application's secret, so that
    every attempt to send it sends the same one.
    """

    __tablename__ = "sb_sms_code"

    phone: Mapped[str] = mapped_column(String(PHONE_LENGTH), index=True)
    purpose: Mapped[str] = mapped_column(String(PURPOSE_LENGTH))
    """What it was asked for; it is good for nothing else."""
    nonce: Mapped[str] = mapped_column(String(NONCE_LENGTH), unique=True)
    """128 random bits: the handle of whoever asked for this code. Tells nobody what it is."""
    code_hash: Mapped[str] = mapped_column(String(HASH_LENGTH))
    """Keyed, of number, nonce and code."""
    attempts: Mapped[int] = mapped_column(default=0)
    """How often it was compared with something."""
    requested_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)
    sent_at: Mapped[datetime | None]
    """When the provider took it."""
    used_at: Mapped[datetime | None]
    """When somebody knew it."""


class SmsQuota(Identified, Base):
    """How many messages a number, an address or everybody was granted on one day (UTC)."""

    __tablename__ = "sb_sms_quota"
    __table_args__ = (UniqueConstraint("key", "day"),)

    key: Mapped[str] = mapped_column(String(HASH_LENGTH))
    """A keyed hash: neither numbers nor addresses are kept."""
    day: Mapped[date] = mapped_column(Date, index=True)
    spent: Mapped[int]
