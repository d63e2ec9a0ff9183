"""Passwords: stored as argon2id hashes (RFC 9106), and checked by the rules of ASVS 5.0, chapter 6.

The rules are length, a list of common passwords, and words that are easy to guess: the title of the
application, the username and the address. There are no rules of composition, which lead to
passwords that people forget and programs guess.
"""

from __future__ import annotations

import re
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
"""Characters: code points after normalization."""
MIN_WORD = 3
"""Characters of a word to be considered; shorter ones occur in every password."""
COMMON = Path(__file__).with_name("common_password.txt")

_ALNUM, _ALPHA = str.isalnum, str.isalpha
_WORD = re.compile(r"[^\W_]+")
_HEAD, _TAIL = re.compile(r"\A[\W\d_]++"), re.compile(r"[\W\d_]++\Z")
# Look-alikes of letters; all strokes count as one.
_LOOKALIKE = str.maketrans("013457@$!|l", "oieastasiii")
# Invisible characters that Unicode classes as letters, marks or symbols: joiners, fillers,
# variation selectors, the blank Braille pattern.
_BLANK = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)

# OWASP Password Storage Cheat Sheet: 19 MiB, two passes, one lane; about 18 ms on an idle core. The
# defaults of argon2-cffi take three times as long.
_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
# Salt and digest are zeros, which is the hash of no password that anybody could find.
_UNMATCHED = (
    f"$argon2id$v=19$m={_HASHER.memory_cost},t={_HASHER.time_cost},p={_HASHER.parallelism}"
    f"${'A' * 22}${'A' * 43}"
)


def hash_password(password: str) -> str:
    """The hash to store, with its parameters and a new salt."""
    return _HASHER.hash(normalize_password(password))


def verify_password(stored: str | None, password: str) -> bool:
    """Whether the password matches the hash; takes as long without a hash."""
    try:
        return _HASHER.verify(stored or _UNMATCHED, normalize_password(password))
    except (VerificationError, InvalidHashError):
        return False


def needs_rehash(stored: str) -> bool:
    """Whether the hash has other parameters than the current ones."""
    return _HASHER.check_needs_rehash(stored)


def require_good(password: str, field: str, words: Iterable[str]) -> None:
    """Refuse a new password that is too short, too long, common, or easy to guess.

    Args:
        password: The new password.
        field: Location of the password in the request, such as `body.password`.
        words: Words that are guessed first: username, address, title of the application.

    Raises:
        ValidationFailed: The password is refused; the error has the reason.
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
    """The text without invisible characters, and with single blanks."""
    shown = (each for each in text if category(each)[0] != "C" and not _BLANK.match(each))
    return " ".join("".join(shown).split())


def _is_made_of(text: str, words: Iterable[str]) -> bool:
    """Whether the text consists of these words, repeated or not, with digits and signs.

    A reversed word counts, and so does one with look-alikes such as `0` for `o`.
    """
    folded = [normalize_password(word).casefold() for word in words]
    pieces = {piece for word in folded for piece in (*_WORD.findall(word), _only(word, _ALNUM))}
    pieces |= {piece[::-1] for piece in pieces}
    lookalike = {piece.translate(_LOOKALIKE) for piece in pieces}
    # Digits around it may be a year, or look-alikes.
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
    """The NFKC form: keyboards write some characters in several ways."""
    # A lone surrogate cannot be encoded.
    return unicodedata.normalize("NFKC", password).encode("utf-8", "replace").decode()


@cache
def _common() -> frozenset[str]:
    lines = COMMON.read_text(encoding="utf-8").splitlines()
    return frozenset(line for line in lines if line and not line.startswith("#"))
