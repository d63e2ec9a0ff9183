"""The words of an index: which there are, and which somebody may have meant.

Two words that differ by one letter more, less, other or swapped become the same once each has lost
one letter at the right place. So each word is listed by everything that is left of its beginning
without one or two letters, and a mistyped one is looked up in the same way (symmetric deletion):
some thirty exact look-ups, however many words there are. What they give is measured.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from itertools import combinations

from strongback.search.sqlite.word import is_run

ONE_TYPO = 5
"""Letters from which on a word may have one typo; one that is in no document, from four on."""
TWO_TYPOS = 9
"""Letters from which on it may have two."""
PREFIX = 7
"""Letters of a word that are listed; the rest is only measured."""
SHORTEST = 4
"""Shorter ones are never meant: what is typed has five letters, with at most one too many."""
LONGEST = 30
"""Longer ones are no words that anybody types, but keys and the like."""
MAX_RUN = 8
"""Characters of the longest word of a script without spaces."""
_CANDIDATES = 400
_NUMBERED = 20
_NOTED = 200_000  # words that one process remembers to have noted


class Vocabulary:
    """The words of one generation; a word stays until the index is built anew.

    It remembers what it has noted, so it is not used again after a transaction that failed.
    """

    def __init__(self, number: int) -> None:
        self._term = f"g{number}_term"
        self._typo = f"g{number}_typo"
        self._frequency = f"g{number}_frequency"
        self.tables = (self._frequency, self._typo, self._term)
        self._noted: set[str] = set()

    def create(self, db: sqlite3.Connection, text: str) -> None:
        """Make the tables.

        Args:
            db: A writing transaction.
            text: The FTS5 table whose words these are.
        """
        db.execute(f"CREATE TABLE {self._term} (id INTEGER PRIMARY KEY, term TEXT NOT NULL UNIQUE)")
        db.execute(
            f"CREATE VIRTUAL TABLE {self._typo} USING fts5"
            "(variant, content = '', columnsize = 0, detail = none, tokenize = 'ascii')"
        )
        db.execute(f"CREATE VIRTUAL TABLE {self._frequency} USING fts5vocab({text}, row)")

    def drop(self, db: sqlite3.Connection) -> None:
        """Remove the tables."""
        for table in self.tables:
            db.execute(f"DROP TABLE IF EXISTS {table}")

    def add(self, db: sqlite3.Connection, texts: Iterable[str]) -> None:
        """Note the words of these texts, which spaces separate."""
        words: set[str] = set()
        for text in texts:
            words.update(text.split())
        words -= self._noted
        new = db.execute(
            f"INSERT INTO {self._term} (term) SELECT value FROM json_each(?) WHERE true"
            " ON CONFLICT DO NOTHING RETURNING id, term",
            (json.dumps(list(words)),),
        ).fetchall()
        if len(self._noted) < _NOTED:
            self._noted |= words
        rows = [(number, " ".join(_listed(term))) for number, term in new if _is_typed(term)]
        db.executemany(f"INSERT INTO {self._typo} (rowid, variant) VALUES (?, ?)", rows)

    def known(self, db: sqlite3.Connection, words: Iterable[str]) -> set[str]:
        """Those of the words that were ever in a document."""
        query = f"SELECT term FROM {self._term} WHERE term IN (SELECT value FROM json_each(?))"
        return {term for (term,) in db.execute(query, (json.dumps(list(words)),))}

    def numbered(self, db: sqlite3.Connection, word: str) -> set[str]:
        """Words that are this one with a number behind it, as `python3` is `python`."""
        if len(word) < SHORTEST or not word.isalpha():
            return set()
        query = f"SELECT term FROM {self._term} WHERE term >= ? AND term < ? LIMIT {_NUMBERED}"
        found = db.execute(query, (f"{word}0", f"{word}:"))  # the colon follows the nine
        return {term for (term,) in found if term.removeprefix(word).isdigit()}

    def frequency(self, db: sqlite3.Connection, word: str) -> int:
        """In how many documents the word is."""
        query = f"SELECT doc FROM {self._frequency} WHERE term = ?"
        row = db.execute(query, (word,)).fetchone()
        return int(row[0]) if row else 0

    def similar(
        self, db: sqlite3.Connection, word: str, *, is_prefix: bool = False, limit: int = 8
    ) -> list[str]:
        """Words that somebody may have meant who typed this one, the likeliest first.

        Args:
            db: A reading transaction.
            word: What was typed.
            is_prefix: Whether the rest of the word may be yet to come.
            limit: The most to give.
        """
        allowed = allowed_typos(word)
        if not allowed or not _is_typed(word):
            return []
        wanted = " OR ".join(f'"{variant}"' for variant in _variants(word, allowed))
        query = (
            f"SELECT term FROM {self._typo} JOIN {self._term} ON id = {self._typo}.rowid"
            f" WHERE {self._typo} MATCH ? LIMIT {_CANDIDATES}"
        )
        measure = prefix_distance if is_prefix else distance
        measured = [
            (typos, term)
            for (term,) in db.execute(query, (wanted,))
            if term != word and (typos := measure(word, term, allowed)) <= allowed
        ]
        nearest = sorted(measured)[: 4 * limit]
        ranked = [(typos, -self.frequency(db, term), term) for typos, term in nearest]
        # A word of one typo is what was meant; those of two are guesses beside it.
        least = min((typos for typos, negative, _ in ranked if negative), default=0)
        return [term for typos, negative, term in sorted(ranked) if negative and typos == least][
            :limit
        ]

    def cut(self, db: sqlite3.Connection, run: str, *, finest: bool = False) -> list[str]:
        """Cut a run of a script without spaces into words of the index, as few as possible.

        Args:
            db: A reading transaction.
            run: Characters; those that are in no word stay together.
            finest: Into the shortest words instead, of two characters where there are such.
        """
        longest = 2 if finest else MAX_RUN
        pieces = {run[i : i + length] for i in range(len(run)) for length in range(2, longest + 1)}
        known = self.known(db, (piece for piece in pieces if len(piece) > 1))
        # best[i]: how to cut the first i characters; a lone one costs more than a word.
        best: list[tuple[int, list[str]]] = [(0, [])]
        for end in range(1, len(run) + 1):
            cost, words = best[end - 1]
            choices = [(cost + 3, [*words, run[end - 1]])]
            choices += [
                (best[start][0] + 2, [*best[start][1], run[start:end]])
                for start in range(max(0, end - longest), end - 1)
                if run[start:end] in known
            ]
            best.append(min(choices, key=lambda choice: choice[0]))
        return best[-1][1]


def allowed_typos(word: str) -> int:
    """How many typos a word of this length may have, whose own length a typo has changed."""
    return (len(word) >= ONE_TYPO - 1) + (len(word) >= TWO_TYPOS)


def _is_typed(term: str) -> bool:
    return SHORTEST <= len(term) <= LONGEST and term.isalpha() and not is_run(term)


def _listed(term: str) -> set[str]:
    # A word of seven letters can be meant by one of nine, which may have two typos.
    return _variants(term, 2 if len(term) >= TWO_TYPOS - 2 else 1)


def _variants(word: str, typos: int) -> set[str]:
    start = word[:PREFIX]
    return {
        "".join(kept)
        for lost in range(typos + 1)
        for kept in combinations(start, len(start) - lost)
    }


def distance(one: str, other: str, limit: int) -> int:
    """Letters to add, remove, replace or swap with their neighbour to make one of the other.

    Counts no further than to `limit` + 1.
    """
    if abs(len(one) - len(other)) > limit:
        return limit + 1
    return _last_row(one, other, limit)[-1]


def prefix_distance(one: str, other: str, limit: int) -> int:
    """The least distance between a word and any beginning of another."""
    return min(_last_row(one, other[: len(one) + limit], limit))


def _last_row(one: str, other: str, limit: int) -> list[int]:
    """Distances between the whole of one word and each beginning of another."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(one, 1):
        above, row_before, row = before, row, [i]
        before = row_before
        for j, another in enumerate(other, 1):
            least = min(row_before[j] + 1, row[j - 1] + 1, row_before[j - 1] + (letter != another))
            if i > 1 and j > 1 and letter == other[j - 2] and one[i - 2] == another:
                least = min(least, above[j - 2] + 1)
            row.append(least)
        if min(row) > limit:
            return [limit + 1]
    return row
