"""Small operations on text."""

from __future__ import annotations

import re
import unicodedata

_NOT_WORD = re.compile(r"[\W_]+")


def slugify(text: str) -> str:
    """Words of letters and digits in lower case, joined by hyphens; any script is kept.

    >>> slugify("Getting Started: Caché & Co.")
    'getting-started-caché-co'
    """
    folded = unicodedata.normalize("NFKC", text).lower()
    return _NOT_WORD.sub("-", folded).strip("-")


def shorten(text: str, length: int) -> str:
    """The text, or its beginning with an ellipsis, in at most `length` characters.

    >>> shorten("a foundation that runs", 12)
    'a foundatio…'
    """
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"
