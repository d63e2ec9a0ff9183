"""Access tokens: signed JWTs as RFC 9068 profiles them, by joserfc.

Keys are derived from the application's secret. To rotate it, move the old secret to
APP_SECRET_KEYS_OLD and set a new APP_SECRET_KEY; tokens signed by the old one stay valid until they
expire.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from strongback.exceptions import StrongbackError

if TYPE_CHECKING:
    from strongback.auth.signature import Signer

LIFETIME = timedelta(minutes=15)
"""Lifetime of an access token; its session may end earlier."""
CLOCK_SKEW = 60
"""Accepted difference between the clocks of two machines, in seconds."""


class InvalidToken(StrongbackError):
    """The token is invalid: forged, damaged, expired, revoked, or for another audience."""


@dataclass(frozen=True, slots=True)
class AccessToken:
    """The claims of a verified token."""

    user_id: int
    client_id: str
    session_id: str
    scope: frozenset[str] | None
    """Permissions that the token is limited to; None for all of the account's."""
    expires_at: int
    """Expiry time, in seconds since 1970."""


class AccessTokens:
    """Issues and verifies access tokens of an authorization server (`iss`) for an API (`aud`).

    The first secret signs; earlier ones are still accepted. The clock tells seconds since 1970.
    """

    def __init__(
        self,
        issuer: str,
        audience: str,
        secrets: Sequence[str],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.issuer = issuer
        self._audience = audience
        self._clock = clock
        self._secrets = secrets

    def issue(
        self, *, user_id: int, client_id: str, session_id: str, scope: Collection[str] | None
    ) -> str:
        """Sign a token that is valid for `LIFETIME`; without a scope for all of the account's."""
        now = int(self._clock())
        claims: dict[str, Any] = {
            "iss": self.issuer,
            "aud": self._audience,
            "sub": str(user_id),
            "client_id": client_id,
            "iat": now,
            "exp": now + int(LIFETIME.total_seconds()),
            "jti": secrets.token_urlsafe(16),
            "sid": session_id,
        }
        if scope is not None:
            claims["scope"] = " ".join(sorted(scope))
        return self._signer.sign(claims)

    def verify(self, token: str, *, may_be_expired: bool = False) -> AccessToken:
        """Verify a token, or raise `InvalidToken`; an expired one may pass, for its revocation."""
        claims = self._signer.read(token)
        if claims is None:
            raise InvalidToken("not one of our tokens, or the signature does not match")
        if claims["iss"] != self.issuer or claims["aud"] != self._audience:
            raise InvalidToken("issued by or for somebody else")
        left = claims["exp"] - self._clock()
        if not may_be_expired and left <= 0:
            raise InvalidToken("expired")
        if not may_be_expired and left > LIFETIME.total_seconds() + CLOCK_SKEW:
            # Issued before a clock was set back: it would be valid for too long.
            raise InvalidToken("from the future")
        scope = claims.get("scope")
        return AccessToken(
            user_id=int(claims["sub"]),
            client_id=claims["client_id"],
            session_id=claims["sid"],
            scope=None if scope is None else frozenset(scope.split()),
            expires_at=claims["exp"],
        )

    @cached_property
    def _signer(self) -> Signer:
        from strongback.auth.signature import Signer  # noqa: PLC0415  a worker needs none

        return Signer(self._secrets)
