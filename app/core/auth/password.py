"""Passwords are kept as argon2id hashes (RFC 9106)."""

from __future__ import annotations

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

# OWASP Password Storage Cheat Sheet: 19 MiB, two passes, one lane. argon2-cffi's own default
# takes three times as long for no gain that the sheet asks for.
_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)


def hash_password(password: str) -> str:
    """The hash to store, with its parameters and a fresh salt in it."""
    return _HASHER.hash(password)


def verify_password(stored: str, password: str) -> bool:
    """Whether this password made the hash."""
    try:
        return _HASHER.verify(stored, password)
    except (VerificationError, InvalidHashError):
        return False
