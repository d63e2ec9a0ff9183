"""A session and its refresh tokens as they are stored."""

from __future__ import annotations

import secrets
from datetime import datetime

from sqlalchemy import JSON, BigInteger, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from strongback.auth.refresh_token import SEED_LENGTH
from strongback.database import Base, Identified, utc_now

ID_LENGTH = 22
CLIENT_LENGTH = 64
USER_AGENT_LENGTH = 255
ADDRESS_LENGTH = 45


def new_session_id() -> str:
    """128 random bits: an id appears in tokens and must not tell how many sessions there are."""
    return secrets.token_urlsafe(16)


class AuthSession(Base):
    """One device that somebody signed in on."""

    __tablename__ = "sb_session"

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True, default=new_session_id)
    user_id: Mapped[int] = mapped_column(BigInteger, index=True)
    """Whose it is. No foreign key: the table of accounts is not the core's to know."""
    client_id: Mapped[str] = mapped_column(String(CLIENT_LENGTH))
    """The application it was opened with."""
    scope: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True))
    """What it is narrowed to; none for everything that the account may do."""
    user_agent: Mapped[str] = mapped_column(String(USER_AGENT_LENGTH), default="")
    """What the device said it is when it signed in."""
    address: Mapped[str] = mapped_column(String(ADDRESS_LENGTH), default="")
    """Where its tokens were last asked for from."""
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    last_used_at: Mapped[datetime] = mapped_column(default=utc_now)
    """When it last got a token; requests in between are not written down."""
    expires_at: Mapped[datetime] = mapped_column(index=True)
    """When it ends if it is not refreshed before."""
    revoked_at: Mapped[datetime | None]
    """When it was ended by somebody."""


class RefreshToken(Identified, Base):
    """A refresh token. Only its hash is kept: a copy of the table signs nobody in."""

    __tablename__ = "sb_refresh_token"

    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    """SHA-256; the token is 256 random bits, so a slow hash would protect nothing more."""
    session_id: Mapped[str] = mapped_column(
        ForeignKey("sb_session.id", ondelete="CASCADE"), index=True
    )
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    used_at: Mapped[datetime | None] = mapped_column(index=True)
    """When it was exchanged. Kept, so that a second use is recognised."""
    seed: Mapped[str | None] = mapped_column(String(SEED_LENGTH))
    """What its successor follows from, beside the token itself and the application's secret."""
