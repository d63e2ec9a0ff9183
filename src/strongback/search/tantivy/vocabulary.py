"""The words of an index: which there are, and which somebody may have meant."""

from __future__ import annotations

from collections.abc import Iterable

from tantivy import Query, Schema, Searcher

from strongback.search.tantivy.schema import TEXT
from strongback.search.tantivy.word import is_run

ONE_TYPO = 5
"""Letters from which on a word may have one typo; one that is in no document, from four on."""
TWO_TYPOS = 9
"""Letters from which on it may have two."""
SHORTEST, LONGEST = 4, 30
"""Letters of words that people mistype: what is shorter is another word, what is longer a key."""
MEANT = 8
"""Words that a mistyped one may stand for."""
_NUMBERED = 20
_MEASURED = 20_000  # words of one letter that are compared, the most frequent ones


class Vocabulary:
    """The words of one state of an index; those of documents that are deleted may be among them."""

    def __init__(self, searcher: Searcher, schema: Schema) -> None:
        self._searcher = searcher
        self._schema = schema
        self._typed: dict[str, list[tuple[str, int]]] = {}

    def known(self, words: Iterable[str]) -> frozenset[str]:
        """Those of the words that are in a document."""
        return frozenset(word for word in words if self.count(word))

    def count(self, word: str) -> int:
        """In how many documents a word is."""
        return self._searcher.doc_freq(TEXT, word)

    def has_beginning(self, beginning: str) -> bool:
        """Whether a word begins so."""
        return bool(self._searcher.terms_with_prefix(TEXT, beginning, limit=1))

    def numbered(self, word: str) -> frozenset[str]:
        """Words that are this one with a number behind it, as `python3` is `python`."""
        if len(word) < SHORTEST or not word.isalpha():
            return frozenset()
        found = (
            term
            for digit in "0123456789"
            for term, _ in self._searcher.terms_with_prefix(TEXT, word + digit, limit=_NUMBERED)
        )
        return frozenset(term for term in found if term.removeprefix(word).isdigit())

    def similar(self, word: str, *, is_prefix: bool = False) -> list[str]:
        """Words that somebody may have meant who typed this one, the likeliest first.

        The first letter counts as right. Of a prefix, the rest may be yet to come.
        """
        allowed = allowed_typos(word)
        if not allowed or not is_typed(word):
            return []
        least, most = len(word) - allowed, len(word) + allowed
        letters, found = frozenset(word), []
        for term, count in self._beginning(word[0]):
            near = term[:most] if is_prefix else term
            # Most words differ in more letters than may be wrong, which is seen at a glance.
            if least <= len(near) <= most and len(letters.difference(near)) <= allowed:
                typos = distance(word, near, allowed, is_prefix=is_prefix)
                if 0 < typos <= allowed:
                    found.append((typos, -count, term))
        # A word of one typo is what was meant; those of two are guesses beside it.
        meant = [(typos, term) for typos, _, term in sorted(found) if self._is_left(term)]
        return [term for typos, term in meant if typos == meant[0][0]][:MEANT]

    def _is_left(self, term: str) -> bool:
        query = Query.term_query(self._schema, TEXT, term)
        return bool(self._searcher.search(query, limit=1).hits)

    def _beginning(self, letter: str) -> list[tuple[str, int]]:
        if letter not in self._typed:
            terms = self._searcher.terms_with_prefix(TEXT, letter, limit=_MEASURED)
            self._typed[letter] = [(term, count) for term, count in terms if is_typed(term)]
        return self._typed[letter]


def allowed_typos(word: str) -> int:
    """Typos that a word may have; one of them may have changed its length."""
    return (len(word) >= ONE_TYPO - 1) + (len(word) >= TWO_TYPOS)


def is_typed(word: str) -> bool:
    """Whether people type and mistype such a word."""
    return SHORTEST <= len(word) <= LONGEST and word.isalpha() and not is_run(word)


def distance(one: str, other: str, limit: int, *, is_prefix: bool = False) -> int:
    """Letters to add, remove, replace or swap with their neighbour to make one word of the other.

    Counts no further than to one more than the limit. Of a prefix, it is measured to the nearest
    beginning of the other word.
    """
    if is_prefix:
        other = other[: len(one) + limit]
    # A row has the distances of a beginning of the one word to all beginnings of the other.
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(one, 1):
        above, before, row = before, row, [i]
        for j, another in enumerate(other, 1):
            least = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != another))
            if i > 1 and j > 1 and letter == other[j - 2] and one[i - 2] == another:
                least = min(least, above[j - 2] + 1)
            row.append(least)
        if min(row) > limit:
            return limit + 1
    return min(min(row) if is_prefix else row[-1], limit + 1)
