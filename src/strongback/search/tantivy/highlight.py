"""Marks the words found in a text, and cuts the text to the part where most of them are."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass

from strongback.search.query import MARK
from strongback.search.tantivy.word import LETTER, fold
from strongback.text import normalize

_EACH = 40
"""Places of one word that are looked at, of which one text may have thousands."""
_REACH = 20
"""Characters by which a part grows to end where a word does."""
_LETTER = re.compile(LETTER)
_LETTERS = re.compile(f"{LETTER}*")
# Accents and full width: what `fold` changes beside the case.
_FOLDABLE = re.compile("[\u00c0-\u052f\u1e00-\u1fff\uff10-\uff5a]")


class _Folded(dict[int, str]):
    """Each character as `fold` has it, where that is one character too."""

    def __missing__(self, point: int) -> str:
        folded = fold(chr(point))
        self[point] = result = folded if len(folded) == 1 else chr(point)
        return result


_FOLDED = _Folded()


@dataclass(frozen=True, slots=True)
class Marker:
    """Marks words, all of them folded."""

    words: frozenset[str]
    """Whole words."""
    beginnings: frozenset[str]
    """Beginnings of words; the whole word is marked."""
    runs: frozenset[str]
    """Sequences of characters of a script without spaces, wherever they are."""

    def mark(self, text: str, crop: int | None = None) -> str:
        """The text as HTML, escaped, with what is found marked; cut to about `crop` characters."""
        text = normalize("NFC", text)
        if crop is not None and len(text) > crop:
            text = self._crop(text, crop)
        parts, rest = [], 0
        for start, end in self._places(text):
            parts += [html.escape(text[rest:start]), MARK[0], html.escape(text[start:end]), MARK[1]]
            rest = end
        return "".join([*parts, html.escape(text[rest:])])

    def _places(self, text: str) -> list[tuple[int, int]]:
        """Where something is found, from the left; of what overlaps, the first and longest."""
        folded = _fold_each(text)
        places = [
            (start, end)
            for part in self.words | self.beginnings
            for start, end in _words(folded, part)
            if part in self.beginnings or end == start + len(part)
        ]
        places += [(i, i + len(run)) for run in self.runs for i in _finds(folded, run)]
        apart: list[tuple[int, int]] = []
        for start, end in sorted(places, key=lambda place: (place[0], -place[1])):
            if not apart or start >= apart[-1][1]:
                apart.append((start, end))
        return apart

    def _crop(self, text: str, crop: int) -> str:
        start, end = _whole_words(text, *self._best_part(text, crop))
        part = " ".join(text[start:end].split())
        return f"{'…' if start else ''}{part}{'…' if end < len(text) else ''}"

    def _best_part(self, text: str, crop: int) -> tuple[int, int]:
        """Where most different words are, and of those places the first."""
        places = self._places(text)
        if not places:
            return 0, crop
        named = [(start, end, text[start:end].lower()) for start, end in places]
        best, begin, end = 0, *places[0]
        for i, (start, _, _) in enumerate(named):
            inside = [place for place in named[i : i + _EACH] if place[1] <= start + crop]
            if (found := len({word for _, _, word in inside})) > best:
                best, begin, end = found, start, inside[-1][1]
        lead = max(0, (crop - (end - begin)) // 2)
        first = max(0, min(begin - lead, len(text) - crop))
        return first, min(len(text), first + crop)


def _fold_each(text: str) -> str:
    """The text folded, every character in its place."""
    lowered = text.lower()
    if len(lowered) == len(text) and (text.isascii() or not _FOLDABLE.search(text)):
        return lowered
    return text.translate(_FOLDED)


def _finds(text: str, part: str) -> Iterator[int]:
    end = 0
    for _ in range(_EACH):
        if (start := text.find(part, end)) < 0:
            return
        yield start
        end = start + len(part)


def _words(text: str, beginning: str) -> Iterator[tuple[int, int]]:
    for start in _finds(text, beginning):
        is_first = start == 0 or not _LETTER.match(text, start - 1)
        if is_first and (rest := _LETTERS.match(text, start + len(beginning))):
            yield start, rest.end()


def _whole_words(text: str, start: int, end: int) -> tuple[int, int]:
    """Move the ends of a part outwards to where words end, if that is near."""
    space = text.rfind(" ", max(0, start - _REACH), start)
    if space >= 0:
        start = space + 1
    space = text.find(" ", end, end + _REACH)
    return start, space if space >= 0 else end
