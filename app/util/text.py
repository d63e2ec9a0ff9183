"""Small operations on text."""

from __future__ import annotations

import html
import re
import unicodedata

_TAG = re.compile(r"""<(?:[^"'>]|"[^"]*"|'[^']*')*>""")


def slugify(text: str) -> str:
    """Words of letters and digits in lower case, joined by hyphens; any script is kept.

    >>> slugify("Getting Started: Caché & Co.")
    'getting-started-caché-co'
    """
    folded = unicodedata.normalize("NFKC", text).lower()
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
