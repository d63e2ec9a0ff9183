"""Counts the documents of each value, from memory where many were found."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from strongback.search.index import Attribute
from strongback.search.query import MAX_FACET_VALUES
from strongback.search.sqlite.generation import Generation

FEW = 500
"""Documents up to which each one's row is looked up, which costs a microsecond or so."""

Combination = tuple[Any, ...]
"""What a document has in each attribute that is counted, as stored."""


@dataclass(frozen=True, slots=True)
class Tally:
    """The combinations of one state of the file, of which there are far fewer than documents."""

    state: tuple[int, int]
    combinations: list[Combination]
    of: dict[int, int]
    """Which combination each document has, by number."""


class Tallies:
    """What was read last, by the index's name. Safe to share between threads."""

    def __init__(self) -> None:
        self._last: dict[str, Tally] = {}

    def count(
        self, db: sqlite3.Connection, generation: Generation, numbers: Sequence[int]
    ) -> Counter[Combination] | None:
        """Count the combinations of these documents; None where looking them up is cheaper.

        Args:
            db: A reading transaction.
            generation: Where.
            numbers: Of the documents.
        """
        if len(numbers) <= FEW:
            return None
        (revision,) = db.execute("PRAGMA user_version").fetchone()
        tally = self._last.get(generation.index.name)
        if tally is None or tally.state != (generation.number, revision):
            # To read all rows costs about as much as to look up a quarter of them.
            if tally and len(numbers) * 4 < len(tally.of):
                return None
            tally = _read(db, generation, revision)
            self._last[generation.index.name] = tally
        counts = Counter(map(tally.of.get, numbers))
        return Counter(
            {tally.combinations[at]: count for at, count in counts.items() if at is not None}
        )


def facet(attribute: Attribute, column: int, rows: Counter[Combination]) -> dict[str, int]:
    """How many documents have each value of one attribute, most first."""
    stored: Counter[str | None] = Counter()
    for row, count in rows.items():
        stored[row[column]] += count
    counts: Counter[str] = Counter()
    for value, count in stored.items():
        if value is not None:
            for item in json.loads(value) if attribute.many else [value]:
                counts[str(item)] += count
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:MAX_FACET_VALUES])


def columns(attributes: Sequence[Attribute]) -> str:
    """What is read of a row, called `r`."""
    return ", ".join(f"r.o_{attribute.name}" for attribute in attributes)


def _read(db: sqlite3.Connection, generation: Generation, revision: int) -> Tally:
    query = f"SELECT id, {columns(generation.index.facets)} FROM {generation.row} r"
    places: dict[Combination, int] = {}
    of = {
        number: places.setdefault(tuple(values), len(places))
        for number, *values in db.execute(query)
    }
    return Tally((generation.number, revision), list(places), of)
