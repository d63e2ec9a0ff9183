"""Separators of words: one list for every engine."""

from __future__ import annotations

import unicodedata

_BLOCKS = (
    (0x0020, 0x00FF),  # ASCII and Latin-1
    (0x2000, 0x206F),  # punctuation, spaces
    (0x20A0, 0x20CF),  # currencies
    (0x2100, 0x214F),  # signs such as ™
    (0x2190, 0x23FF),  # arrows, mathematics
    (0x2500, 0x27BF),  # frames, shapes, pictures
    (0x2E00, 0x2E7F),  # more punctuation
    (0x3000, 0x303F),  # Chinese and Japanese punctuation
    (0x30A0, 0x30FF),  # that between kana
    (0xFE10, 0xFE6F),  # the same, upright, small
    (0xFF00, 0xFFEF),  # the same, of full width
)
_JOINERS = "\u200c\u200d"
"""Are within words, as Persian and Hindi write them."""


def _parts(letter: str) -> bool:
    category = unicodedata.category(letter)
    return category[0] in "PSZ" or (category == "Cf" and letter not in _JOINERS)


SEPARATORS = tuple(
    letter
    for first, last in _BLOCKS
    for letter in map(chr, range(first, last + 1))
    if _parts(letter)
)
"""Punctuation, symbols, spaces and what is not seen, such as a soft hyphen."""

UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029\u3040-\u30ff"
    "\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
"""Scripts that part words by nothing, as a character class: Han with its radicals and numerals,
kana, Thai, Lao, Burmese, Khmer."""


def has_words(text: str) -> bool:
    """Whether there is anything in a text that could be looked for."""
    return any(unicodedata.category(letter)[0] in "LN" for letter in text)
