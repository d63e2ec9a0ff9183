"""Tables of sessions and refresh tokens."""

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
    """128 random bits: ids appear in tokens, and must not tell the number of sessions."""
    return secrets.token_urlsafe(16)


class AuthSession(Base):
    """A device that is signed in."""

    __tablename__ = "sb_session"

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True, default=new_session_id)
    user_id: Mapped[int] = mapped_column(BigInteger, index=True)
    """Id of the account. No foreign key: the framework does not know the table of accounts."""
    client_id: Mapped[str] = mapped_column(String(CLIENT_LENGTH))
    """Client id of the application."""
    scope: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True))
    """Permissions that the session is limited to; None for all of the account's."""
    user_agent: Mapped[str] = mapped_column(String(USER_AGENT_LENGTH), default="")
    """User-Agent header at sign-in."""
    address: Mapped[str] = mapped_column(String(ADDRESS_LENGTH), default="")
    """IP address of the last token request."""
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    last_used_at: Mapped[datetime] = mapped_column(default=utc_now)
    """Time of the last token request; other requests are not recorded."""
    expires_at: Mapped[datetime] = mapped_column(index=True)
    """Expiry time; each refresh extends it."""
    revoked_at: Mapped[datetime | None]
    """Time of the revocation."""


class RefreshToken(Identified, Base):
    """A refresh token. Only its hash is stored, so that a copy of the table is useless."""

    __tablename__ = "sb_refresh_token"

    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    """SHA-256; a slow hash is not needed for 256 random bits."""
    session_id: Mapped[str] = mapped_column(
        ForeignKey("sb_session.id", ondelete="CASCADE"), index=True
    )
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    used_at: Mapped[datetime | None] = mapped_column(index=True)
    """Time of its first use, kept to recognize a second one."""
    seed: Mapped[str | None] = mapped_column(String(SEED_LENGTH))
    """Seed of its successor, which also depends on the token and the application's secret."""
