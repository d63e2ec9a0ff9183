"""Passwords: kept as argon2id hashes (RFC 9106), and held to the rules of ASVS 5.0, chapter 6.

The rules are length and a list of common passwords. There are none of composition: they make
passwords that people forget and programs guess.
"""

from __future__ import annotations

import base64
import secrets
import unicodedata
from functools import cache
from pathlib import Path

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from app.core.exceptions import FieldError, ValidationFailed

MIN_LENGTH = 8
MAX_LENGTH = 128
"""Characters, as people count them: code points after normalising."""
COMMON = Path(__file__).with_name("common_password.txt")

# OWASP Password Storage Cheat Sheet: 19 MiB, two passes, one lane; 18 ms on a free core of the
# machine this was written on, twice that on a busy one. argon2-cffi's own default takes three
# times as long for no gain that the sheet asks for.
_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)


def hash_password(password: str) -> str:
    """The hash to store, with its parameters and a fresh salt in it."""
    return _HASHER.hash(normalize_password(password))


def verify_password(stored: str | None, password: str) -> bool:
    """Whether this password made the hash; without a hash it takes as long to say no."""
    try:
        return _HASHER.verify(stored or _unmatched(), normalize_password(password))
    except (VerificationError, InvalidHashError):
        return False


def needs_rehash(stored: str) -> bool:
    """Whether the hash was made with other parameters than today's."""
    return _HASHER.check_needs_rehash(stored)


def require_good(password: str, username: str, field: str) -> None:
    """Refuse a new password that is too short, too long, common, or the account's own name.

    Args:
        password: What somebody wants to sign in with.
        username: The account's name.
        field: Where the password came from, such as `body.password`.

    Raises:
        ValidationFailed: It is refused; the error says why.
    """
    if problem := _problem_with(normalize_password(password), username):
        error: FieldError = {"field": field, "message": problem, "type": "password"}
        raise ValidationFailed(errors=[error])


def _problem_with(password: str, username: str) -> str | None:
    if not MIN_LENGTH <= len(password) <= MAX_LENGTH:
        return "Use 8 to 128 characters."
    folded = password.casefold()
    if folded == username.casefold():
        return "Use a password that is not the username."
    if folded in _common():
        return "This password is one of the first that are tried. Use another."
    return None


def normalize_password(password: str) -> str:
    """One spelling for what keyboards write in several (Unicode NFKC)."""
    # A lone surrogate is no character and cannot be encoded; it would be a 500.
    return unicodedata.normalize("NFKC", password).encode("utf-8", "replace").decode()


@cache
def _common() -> frozenset[str]:
    lines = COMMON.read_text(encoding="utf-8").splitlines()
    return frozenset(line for line in lines if line and not line.startswith("#"))


@cache
def _unmatched() -> str:
    """A hash of no password, with today's parameters, so that checking it takes today's time."""
    salt, digest = secrets.token_bytes(16), secrets.token_bytes(32)
    return (
        f"$argon2id$v=19$m={_HASHER.memory_cost},t={_HASHER.time_cost},p={_HASHER.parallelism}"
        f"${_base64(salt)}${_base64(digest)}"
    )


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).rstrip(b"=").decode()
