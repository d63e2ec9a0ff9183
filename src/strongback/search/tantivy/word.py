"""Words of a text: what is indexed, and what is looked for.

Scripts that put spaces between words are cut at them. Of a script without, such as Chinese, each
character is a word, so that any sequence of them is found as a phrase; and those that a dictionary
knows are words as well, because they are found faster and tell more than their characters.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from itertools import pairwise
from types import ModuleType

from strongback.search.separator import SEPARATORS, UNSPACED
from strongback.text import MAYBE_MARKED, normalize


def _ranges(letters: Iterable[int]) -> str:
    """A character class of these code points, neighbours taken together."""
    points = sorted(letters)
    starts = [points[0]] + [new for old, new in pairwise(points) if new != old + 1]
    ends = [old for old, new in pairwise(points) if new != old + 1] + [points[-1]]
    return "".join(f"{chr(a)}-{chr(z)}" for a, z in zip(starts, ends, strict=True))


# Marks carry the vowels of Hindi and Tamil; Python's \w does not know them.
_MARKS = _ranges(i for i in range(0x300, 0x1D00) if unicodedata.category(chr(i))[0] == "M")
RUN = re.compile(rf"[{UNSPACED}]+")
"""Characters of scripts without spaces, next to one another."""
SPACED = re.compile(rf"[\w{_MARKS}]+")
"""A word of another script, once `RUN` is taken out and underscores are spaces."""
LETTER = rf"(?:[^\W_{UNSPACED}]|[{_MARKS}])"
"""One character of such a word, as a pattern."""
_EITHER = re.compile(rf"[{UNSPACED}]+|{LETTER}+")
# ASCII, Han and the punctuation of Chinese: nothing is spelled in two ways but by case.
_PLAIN = "\0-\x7f\u2010-\u2027\u3001-\u3004\u3008-\u3020\u4e00-\u9fff\uff01-\uff0f\uff1a-\uff20"
_UNUSUAL = re.compile(f"[^{_PLAIN}]+")
# Signs that are letters to Unicode's compatibility forms, and would become part of a word.
_SIGNS = str.maketrans(
    {sign: " " for sign in SEPARATORS if any(map(str.isalnum, unicodedata.normalize("NFKC", sign)))}
)
_SHORT = 2  # characters that most Chinese words have
_ACCENTED = re.compile("[\u00c0-\u052f\u1e00-\u1fff]")
_ACCENTS = re.compile("[\u0300-\u036f]+")


def fold(text: str) -> str:
    """Make spellings alike that people take for the same: case, accents, full width."""
    text = text.lower()
    if MAYBE_MARKED.search(text):  # a mark belongs to the letter before it
        return _fold(text)
    return _UNUSUAL.sub(lambda part: _fold_part(part[0]), text)


def _fold(text: str) -> str:
    text = normalize("NFKC", text.translate(_SIGNS)).casefold()
    if _ACCENTED.search(text):
        bare = _ACCENTS.sub("", normalize("NFD", text))
        text = normalize("NFC", bare)
    return text


_fold_part = lru_cache(4_096)(_fold)


def is_run(word: str) -> bool:
    """Whether a word is of a script without spaces."""
    return RUN.match(word) is not None


def split(text: str) -> tuple[list[str], list[str]]:
    """Cut a text for the index.

    Returns:
        Its words as they follow one another, with each character of scripts without spaces; and
        the words that the dictionary finds in these scripts.
    """
    text = fold(text)
    runs = [] if text.isascii() else RUN.findall(text)
    if not runs:
        return SPACED.findall(text.replace("_", " ")), []
    spread = RUN.sub(lambda run: f" {' '.join(run[0])} ", text)
    # One call for all: a line break is a word of its own, and nothing is cut across it.
    found = _dictionary().cut_for_search("\n".join(runs))
    return SPACED.findall(spread.replace("_", " ")), [word for word in found if len(word) > 1]


def split_query(text: str) -> list[str]:
    """Cut a text that somebody looks for: words in their order, and runs, each whole."""
    return [match[0] for match in _EITHER.finditer(fold(text))]


def cut(run: str) -> list[str]:
    """Cut a run of characters into the words of the dictionary."""
    words: list[str] = _dictionary().cut(run)
    return words


def cut_finely(run: str) -> list[str]:
    """Cut a run of characters into words of two characters, where the dictionary has such."""
    return [word for word in _dictionary().cut_for_search(run) if len(word) <= _SHORT]


def _dictionary() -> ModuleType:
    # Imported here: its dictionary takes 30 MB, and English needs none. A Jieba of our own would be
    # a second copy of what the module has.
    import rjieba  # noqa: PLC0415  above

    return rjieba
