"""Access tokens: signed JWTs as RFC 9068 profiles them, by joserfc.

Keys are derived from the application's secret, so there is none to distribute. To rotate: put the
old secret into APP_SECRET_KEYS_OLD and a new one into APP_SECRET_KEY; what the old one signed is
good until it expires.
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
"""How long an access token is good; its session may end before."""
CLOCK_SKEW = 60
"""Seconds that the clocks of two machines may differ."""
MAX_LENGTH = 4096
# Each of a secret's derived keys has its own label: a signature made for one purpose is worth
# nothing for another.
_PURPOSE = b"strongback access token 1"
_ID_PURPOSE = b"strongback access token 1 key id"
# Base64url has several spellings of the same bytes, and decoders skip foreign characters: one
# spelling is taken. The last of 43 characters holds 4 bits.
_SHAPE = re.compile(r"([\w-]{8,512})\.[\w-]{8,3400}\.[\w-]{42}[AEIMQUYcgkosw048]", re.ASCII)
_REGISTRY = JWSRegistry(algorithms=[ALGORITHM])


class InvalidToken(StrongbackError):
    """The token proves nothing: forged, damaged, expired, for somebody else, or revoked."""


@dataclass(frozen=True, slots=True)
class AccessToken:
    """What a verified token says."""

    user_id: int
    """The account (`sub`)."""
    client_id: str
    """The application that asked for it."""
    session_id: str
    """The session that it belongs to (`sid`)."""
    scope: frozenset[str] | None
    """What it is narrowed to; None for everything that the account may do."""
    expires_at: int
    """When it ends, in seconds since 1970."""


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
        audience: Address of the API that takes the tokens (`aud`).
        secrets: The secret that signs, then earlier ones that are still believed.
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
        # The whole header has to be one that we write, byte for byte. What is never parsed cannot
        # choose an algorithm or a type, and no `jwk`, `jku` or `x5u` in it is ever looked at.
        self._keys = {_header_of(item): item.key for item in keys}

    def issue(
        self, *, user_id: int, client_id: str, session_id: str, scope: Collection[str] | None
    ) -> str:
        """Sign a token that is good for `LIFETIME`.

        Args:
            user_id: The account it speaks for.
            client_id: The application that asked for it.
            session_id: The session whose end is also the token's.
            scope: What it is narrowed to; None for everything that the account may do.
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
        """Read a token that we issued.

        Args:
            token: As the client sent it.
            may_be_expired: Whether its age does not matter, as when it is revoked.

        Raises:
            InvalidToken: Anything about it is wrong.
        """
        claims = self._read(token)
        if claims["iss"] != self.issuer or claims["aud"] != self._audience:
            raise InvalidToken("issued by or for somebody else")
        left = claims["exp"] - self._clock()
        if not may_be_expired and left <= 0:
            raise InvalidToken("expired")
        if not may_be_expired and left > LIFETIME.total_seconds() + CLOCK_SKEW:
            # Issued before a clock was set back: it would be good for longer than it may be.
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
