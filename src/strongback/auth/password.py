"""Passwords: kept as argon2id hashes (RFC 9106), and held to the rules of ASVS 5.0, chapter 6.

The rules are length, a list of common passwords, and the words that are at hand for everybody who
guesses: the application's title and the account's name and address. There are none of composition:
they make passwords that people forget and programs guess.
"""

from __future__ import annotations

import base64
import re
import secrets
import unicodedata
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from unicodedata import category

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from strongback.exceptions import FieldError, ValidationFailed

MIN_LENGTH = 8
MAX_LENGTH = 128
"""Characters, as people count them: code points after normalising."""
MIN_WORD = 3
"""Characters of a word that a password must not be made of; shorter ones are in every password."""
COMMON = Path(__file__).with_name("common_password.txt")

_ALNUM, _ALPHA = str.isalnum, str.isalpha
_WORD = re.compile(r"[^\W_]+")
_HEAD, _TAIL = re.compile(r"\A[\W\d_]++"), re.compile(r"[\W\d_]++\Z")
# What is written for a letter; three kinds of stroke are one, whichever is meant.
_LOOKALIKE = str.maketrans("013457@$!|l", "oieastasiii")
# What is drawn as nothing although Unicode counts it among letters, marks and signs: joiners,
# fillers, selectors of variants, the blank of Braille.
_BLANK = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)

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


def require_good(password: str, field: str, words: Iterable[str]) -> None:
    """Refuse a new password that is too short, too long, common, or made of words that are at hand.

    Args:
        password: What somebody wants to sign in with.
        field: Where the password came from, such as `body.password`.
        words: What is tried first against this account: its name, its address, the application's
            title.

    Raises:
        ValidationFailed: It is refused; the error says why.
    """
    if problem := _problem_with(normalize_password(password), words):
        error: FieldError = {"field": field, "message": problem, "type": "password"}
        raise ValidationFailed(errors=[error])


def _problem_with(password: str, words: Iterable[str]) -> str | None:
    if not MIN_LENGTH <= len(password) <= MAX_LENGTH:
        return "Use 8 to 128 characters."
    seen = _visible(password).casefold()
    if len(seen) < MIN_LENGTH:
        return "Use at least 8 characters that can be seen."
    if seen in _common():
        return "This password is one of the first that are tried. Use another."
    if _is_made_of(seen, words):
        return "Use more than your name, your address and the application's name."
    return None


def _visible(text: str) -> str:
    """The text without characters that nobody sees, its blanks one at a time."""
    shown = (each for each in text if category(each)[0] != "C" and not _BLANK.match(each))
    return " ".join("".join(shown).split())


def _is_made_of(text: str, words: Iterable[str]) -> bool:
    """Whether there is nothing but these words in it, however often, with digits and signs.

    Neither turning a word round nor writing `0` for `o` makes it another.
    """
    folded = [normalize_password(word).casefold() for word in words]
    pieces = {piece for word in folded for piece in (*_WORD.findall(word), _only(word, _ALNUM))}
    pieces |= {piece[::-1] for piece in pieces}
    lookalike = {piece.translate(_LOOKALIKE) for piece in pieces}
    # Digits around it may be a year, or letters in disguise.
    begun, ended = _HEAD.sub("", text), _TAIL.sub("", text)
    inner = {each.translate(_LOOKALIKE) for each in (text, begun, ended, _TAIL.sub("", begun))}
    return any(
        _is_used_up(_only(reading, kind), {_only(piece, kind) for piece in known})
        for kind in (_ALNUM, _ALPHA)
        for reading, known in ((text, pieces), *((each, lookalike) for each in inner))
    )


def _is_used_up(text: str, words: Iterable[str]) -> bool:
    rest = text
    for word in sorted(words, key=len, reverse=True):
        if len(word) >= MIN_WORD:
            rest = rest.replace(word, "")
    return bool(text) and not rest


def _only(text: str, kind: Callable[[str], bool]) -> str:
    return "".join(filter(kind, text))


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
