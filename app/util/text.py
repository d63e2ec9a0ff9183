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


def normalize(form: Literal["NFC", "NFD", "NFKC", "NFKD"], text: str) -> str:
    """One spelling of a text, in time in proportion to its length.

    Marks on a letter are sorted, which takes the square of their number: what follows the first
    thirty is left out.
    """
    return text if text.isascii() else unicodedata.normalize(form, _excess().sub(r"\1", text))


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
    folded = normalize("NFKC", text).lower()
    return "-".join("".join(map(_or_space, folded)).split())


def _or_space(character: str) -> str:
    # Marks carry the vowels of Hindi, Thai and Tamil; Python's \w does not know them.
    is_word = character.isalnum() or unicodedata.category(character).startswith("M")
    return character if is_word else " "


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
