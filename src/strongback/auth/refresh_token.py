"""The token that follows a refresh token: the same one, however often it is asked for.

A client whose response was lost sends its token again. It gets the successor that the lost response
carried, so that a session never has two tokens that are good. The successor is nowhere stored: it
follows from the token before it, a random seed beside that token's hash, and the application's
secret. Whoever lacks one of the three has nothing.
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
    """A refresh token that follows none: 256 random bits."""
    return secrets.token_urlsafe(32)


def new_seed() -> str:
    """What tells a token's successor from any other: 128 random bits."""
    return secrets.token_hex(SEED_LENGTH // 2)


def hash_token(token: str) -> str:
    """What is stored of a token."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


class Successors:
    """Derives successors.

    Args:
        application_secrets: The one that derives new ones, then earlier ones, so that a repeated
            request is still answered after a change of secrets.
    """

    def __init__(self, application_secrets: Sequence[str]) -> None:
        self._keys = [
            hmac.digest(each.encode(), _PURPOSE, "sha256") for each in application_secrets
        ]

    def new(self, token: str, seed: str) -> str:
        """The successor of a token that is being spent."""
        return _derive(self._keys[0], token, seed)

    def candidates(self, token: str, seed: str) -> dict[str, str]:
        """What the successor of a spent token can be, by its hash."""
        found = [_derive(key, token, seed) for key in self._keys]
        return {hash_token(successor): successor for successor in found}


def _derive(key: bytes, token: str, seed: str) -> str:
    text = f"{seed}\0{token}".encode("utf-8", "surrogatepass")
    return base64.urlsafe_b64encode(hmac.digest(key, text, "sha256")).rstrip(b"=").decode()
