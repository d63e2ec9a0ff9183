"""Small operations on text."""

from __future__ import annotations

import html
import re
import unicodedata
from functools import cache
from typing import Literal

# A tag holds no other outside of quotes: where one is not closed, the search ends soon.
_TAG = re.compile(r"""<(?:[^"'<>]++|"[^"]*+"|'[^']*+')*+>""")
MAX_MARKS = 30
"""Marks on one letter that count (Unicode, annex 15, section 13); no language needs as many."""
MAYBE_MARKED = re.compile(
    "[\u0300-\u1fff\u20d0-\u20ff\u2c00-\u2fff\u302a-\u309a\ua600-\uabff\ufb1e\ufe20-\ufe2f"
    "\uff9e-\uff9f\U00010000-\U0001efff]"
)
"""Blocks of characters that all marks are among."""

# Nothing is seen of them, or they turn round what is written after them: controls, marks of
# direction, zero-width letters and selectors, fillers, what Unicode keeps for private use or has
# not assigned. Written by category where that is a rule, else one by one.
_UNSEEN = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})
_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u20d0-\u20f0\u2800\u3164\ufe00-\ufe0f\uffa0"
    "\U000e0100-\U000e01ef]"
)
_DIRECTIONS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def first_unseen(text: str) -> str | None:
    """The first character that nobody sees, for texts that stand for themselves: names."""
    if text.isprintable() and not _INVISIBLE.search(text):
        return None
    for character in text:
        if unicodedata.category(character) in _UNSEEN or _INVISIBLE.match(character):
            return character
    return None


def first_control(text: str) -> str | None:
    """The first character that is no text, for lines that people read.

    The joiners and selectors of emoji and of Indian and Arabic scripts are text.
    """
    if text.isprintable():  # as most texts are; to see that takes no time
        return None
    for character in text:
        if unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"} or character in _DIRECTIONS:
            return character
    return None


def is_seen(text: str) -> bool:
    """Whether there is anything to be seen."""
    return any(first_unseen(letter) is None and not letter.isspace() for letter in text)


def without_controls(text: str) -> str:
    """The text without what `first_control` finds, on one line."""
    words = (
        word if word.isprintable() else "".join(it for it in word if not first_control(it))
        for word in text.split()
    )
    return " ".join(filter(None, words))


def normalize(form: Literal["NFC", "NFD", "NFKC", "NFKD"], text: str) -> str:
    """One spelling of a text, in time in proportion to its length.

    Marks on a letter are sorted, which takes the square of their number: what follows the first
    thirty is left out.
    """
    # To look for too many marks takes forty times as long as to see that there is none.
    if MAYBE_MARKED.search(text):
        text = _excess().sub(r"\1", text)
    return unicodedata.normalize(form, text)


@cache
def _excess() -> re.Pattern[str]:
    """Marks of a letter, and the marks after them that are too many."""
    # The highest ones end below 0x1F000. Some have no order of their own, but consist of some.
    marks = {chr(point) for point in range(0x300, 0x1F000) if unicodedata.combining(chr(point))}
    marks |= set("\u0f73\u0f75\u0f81\uff9e\uff9f")
    mark = f"[{''.join(sorted(marks))}]"
    return re.compile(f"({mark}{{{MAX_MARKS}}}){mark}++")


def slugify(text: str) -> str:
    """Words of letters and digits in lower case, joined by hyphens; any script is kept.

    >>> slugify("Getting Started: Caché & Co.")
    'getting-started-caché-co'
    """
    visible = _INVISIBLE.sub("", normalize("NFKC", text)).lower()
    words = "".join(letter if is_of_word(letter) else " " for letter in visible).split()
    # A mark that follows no letter belongs to a sign, which is left out.
    return "-".join(filter(None, map(_from_letter, words)))


def is_of_word(character: str) -> bool:
    """Whether this may stand in a word: a letter, a digit, or a mark on one."""
    # Marks carry the vowels of Hindi, Thai and Tamil; Python's \w does not know them.
    return character.isalnum() or unicodedata.category(character) in {"Mn", "Mc"}


def _from_letter(word: str) -> str:
    return word[next((i for i, letter in enumerate(word) if letter.isalnum()), len(word)) :]


def shorten(text: str, length: int) -> str:
    """The text, or its beginning with an ellipsis, in at most `length` characters.

    >>> shorten("a foundation that runs", 12)
    'a foundatio…'
    """
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"


def plain_text(markup: str) -> str:
    """The text of well-formed HTML on one line, without its tags.

    >>> plain_text('<p title="a > b">Fish &amp; <em>chips</em></p>')
    'Fish & chips'
    """
    return " ".join(html.unescape(_TAG.sub(" ", markup)).split())
