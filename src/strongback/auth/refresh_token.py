"""Refresh tokens, and the successor that replaces each.

A client whose response was lost sends its token again, and gets the same successor as in the lost
response, so that a session never has two valid tokens. The successor is not stored: it is derived
from the previous token, a random seed stored with that token's hash, and the application's secret.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Sequence

SEED_LENGTH = 32
_PURPOSE = b"strongback refresh token 1"


def new_token() -> str:
    """A first refresh token: 256 random bits."""
    return secrets.token_urlsafe(32)


def new_seed() -> str:
    """A seed: 128 random bits."""
    return secrets.token_hex(SEED_LENGTH // 2)


def hash_token(token: str) -> str:
    """The hash that is stored of a token."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


class Successors:
    """Derives successors.

    By the first secret; by earlier ones to repeat a response after a change of secrets.
    """

    def __init__(self, application_secrets: Sequence[str]) -> None:
        self._keys = [
            hmac.digest(each.encode(), _PURPOSE, "sha256") for each in application_secrets
        ]

    def new(self, token: str, seed: str) -> str:
        """The successor of a token."""
        return _derive(self._keys[0], token, seed)

    def candidates(self, token: str, seed: str) -> dict[str, str]:
        """Possible successors of a used token, by hash."""
        found = [_derive(key, token, seed) for key in self._keys]
        return {hash_token(successor): successor for successor in found}


def _derive(key: bytes, token: str, seed: str) -> str:
    text = f"{seed}\0{token}".encode("utf-8", "surrogatepass")
    return base64.urlsafe_b64encode(hmac.digest(key, text, "sha256")).rstrip(b"=").decode()
