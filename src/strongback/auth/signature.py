"""Signatures of tokens, by joserfc: 12 MB that a process needs once it sees a token."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey
from joserfc.jws import JWSRegistry

ALGORITHM = "HS256"
TYPE = "at+jwt"
MAX_LENGTH = 4096
# Keys derived from one secret have different labels, so that a signature is valid for one purpose.
_PURPOSE = b"strongback access token 1"
# Decoders of base64url accept several spellings of the same bytes; only one is accepted here. The
# last of 43 characters holds 4 bits.
_SHAPE = re.compile(r"([\w-]{8,512})\.[\w-]{8,3400}\.[\w-]{42}[AEIMQUYcgkosw048]", re.ASCII)
_REGISTRY = JWSRegistry(algorithms=[ALGORITHM])


class _SigningKey(NamedTuple):
    header: dict[str, Any]
    key: OctKey


class Signer:
    """Signs claims by the first secret, and reads what that or an earlier one has signed."""

    def __init__(
        self, secrets: Sequence[str], derive_key: Callable[[str], _SigningKey] | None = None
    ) -> None:
        keys = [(derive_key or derive)(secret) for secret in secrets]
        self._signing = keys[0]
        # The header must equal one of ours, byte for byte. As it is never parsed, it can choose
        # neither algorithm nor type, and `jwk`, `jku` and `x5u` are never followed.
        self._keys = {
            jwt.encode(header, {}, key, registry=_REGISTRY).partition(".")[0]: key
            for header, key in keys
        }

    def sign(self, claims: dict[str, Any]) -> str:
        """Return a token with the claims."""
        header, key = self._signing
        return jwt.encode(header, claims, key, registry=_REGISTRY)

    def read(self, token: str) -> dict[str, Any] | None:
        """Return the claims of a token; None if it was not signed by one of the secrets."""
        shape = _SHAPE.fullmatch(token) if len(token) <= MAX_LENGTH else None
        key = self._keys.get(shape[1]) if shape else None
        if key is None:
            return None
        try:
            return jwt.decode(token, key, registry=_REGISTRY).claims
        except (JoseError, ValueError):
            return None


def derive(secret: str) -> _SigningKey:
    """Derive a secret's key of access tokens."""
    key = OctKey.import_key(_expand(secret, _PURPOSE, 32))
    return _SigningKey(_header(TYPE, secret, _PURPOSE), key)


def shared_key(secret: str, purpose: bytes) -> _SigningKey:
    """Derive a secret's key of tokens that another server reads too, which knows it as text."""
    key = OctKey.import_key(shared_text(secret, purpose).encode())
    return _SigningKey(_header("JWT", secret, purpose), key)


def shared_text(secret: str, purpose: bytes) -> str:
    """Derive a key for another server: 32 bytes as base64url, which every setting can hold."""
    return base64.urlsafe_b64encode(_expand(secret, purpose, 32)).rstrip(b"=").decode()


def _header(kind: str, secret: str, purpose: bytes) -> dict[str, Any]:
    key_id = _expand(secret, purpose + b" key id", 8).hex()
    return {"typ": kind, "alg": ALGORITHM, "kid": key_id}


def _expand(secret: str, purpose: bytes, length: int) -> bytes:
    return HKDF(SHA256(), length, salt=None, info=purpose).derive(secret.encode())
