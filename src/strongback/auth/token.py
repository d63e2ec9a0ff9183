"""Access tokens: signed JWTs as RFC 9068 profiles them, by joserfc.

Keys are derived from the application's secret. To rotate it, move the old secret to
APP_SECRET_KEYS_OLD and set a new APP_SECRET_KEY; tokens signed by the old one stay valid until they
expire.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey
from joserfc.jws import JWSRegistry

from strongback.exceptions import StrongbackError

ALGORITHM = "HS256"
TYPE = "at+jwt"
LIFETIME = timedelta(minutes=15)
"""Lifetime of an access token; its session may end earlier."""
CLOCK_SKEW = 60
"""Accepted difference between the clocks of two machines, in seconds."""
MAX_LENGTH = 4096
# Keys derived from one secret have different labels, so that a signature is valid for one purpose.
_PURPOSE = b"strongback access token 1"
_ID_PURPOSE = b"strongback access token 1 key id"
# Decoders of base64url accept several spellings of the same bytes; only one is accepted here. The
# last of 43 characters holds 4 bits.
_SHAPE = re.compile(r"([\w-]{8,512})\.[\w-]{8,3400}\.[\w-]{42}[AEIMQUYcgkosw048]", re.ASCII)
_REGISTRY = JWSRegistry(algorithms=[ALGORITHM])


class InvalidToken(StrongbackError):
    """The token is invalid: forged, damaged, expired, revoked, or for another audience."""


@dataclass(frozen=True, slots=True)
class AccessToken:
    """The claims of a verified token."""

    user_id: int
    """Id of the account (`sub`)."""
    client_id: str
    """Client id of the application."""
    session_id: str
    """Id of the session (`sid`)."""
    scope: frozenset[str] | None
    """Permissions that the token is limited to; None for all of the account's."""
    expires_at: int
    """Expiry time, in seconds since 1970."""


@dataclass(frozen=True, slots=True)
class _SigningKey:
    id: str
    key: OctKey

    @property
    def header(self) -> dict[str, Any]:
        return {"typ": TYPE, "alg": ALGORITHM, "kid": self.id}


class AccessTokens:
    """Issues and verifies access tokens.

    Args:
        issuer: Address of the authorization server (`iss`).
        audience: Address of the API (`aud`).
        secrets: The secret that signs, then earlier ones that are still accepted.
        clock: Seconds since 1970.
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
        keys = [_derive(secret) for secret in secrets]
        self._signing = keys[0]
        # The header must equal one of ours, byte for byte. As it is never parsed, it can choose
        # neither algorithm nor type, and `jwk`, `jku` and `x5u` are never followed.
        self._keys = {_header_of(item): item.key for item in keys}

    def issue(
        self, *, user_id: int, client_id: str, session_id: str, scope: Collection[str] | None
    ) -> str:
        """Sign a token that is valid for `LIFETIME`.

        Args:
            user_id: Id of the account.
            client_id: Client id of the application.
            session_id: Id of the session; the token ends with it.
            scope: Permissions that the token is limited to; None for all of the account's.
        """
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
        signing = self._signing
        return jwt.encode(signing.header, claims, signing.key, registry=_REGISTRY)

    def verify(self, token: str, *, may_be_expired: bool = False) -> AccessToken:
        """Verify a token.

        Args:
            token: The token.
            may_be_expired: Accept an expired token, as for its revocation.

        Raises:
            InvalidToken: The token is invalid.
        """
        claims = self._read(token)
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

    def _read(self, token: str) -> dict[str, Any]:
        shape = _SHAPE.fullmatch(token) if len(token) <= MAX_LENGTH else None
        key = self._keys.get(shape[1]) if shape else None
        if key is None:
            raise InvalidToken("not one of our tokens")
        try:
            return jwt.decode(token, key, registry=_REGISTRY).claims
        except (JoseError, ValueError) as error:
            raise InvalidToken("the signature does not match") from error


def _derive(secret: str) -> _SigningKey:
    return _SigningKey(
        id=_expand(secret, _ID_PURPOSE, 8).hex(),
        key=OctKey.import_key(_expand(secret, _PURPOSE, 32)),
    )


def _expand(secret: str, purpose: bytes, length: int) -> bytes:
    return HKDF(SHA256(), length, salt=None, info=purpose).derive(secret.encode())


def _header_of(signing: _SigningKey) -> str:
    return jwt.encode(signing.header, {}, signing.key, registry=_REGISTRY).partition(".")[0]
