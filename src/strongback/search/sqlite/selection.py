"""The SQL of a search: everything that an expression and a filter find, counted and in order."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from strongback.search.filter import Filter
from strongback.search.index import Attribute, Order
from strongback.search.sqlite.condition import compile_filter
from strongback.search.sqlite.generation import Generation
from strongback.search.sqlite.ranking import Candidate
from strongback.search.sqlite.tally import Combination, Tallies, columns, facet

PARTS_WEIGHT = 0.3
"""What a sequence of characters counts that the dictionary takes for no word."""


class Selection:
    """Reads from one generation. An expression of None finds every document.

    Args:
        db: A reading transaction.
        generation: Where.
        condition: The filter, or None.
        tallies: What facets are counted with, where any are wanted.
    """

    def __init__(
        self,
        db: sqlite3.Connection,
        generation: Generation,
        condition: Filter | None,
        tallies: Tallies | None = None,
    ) -> None:
        self.db = db
        self.generation = generation
        self._tallies = tallies
        self._read: dict[str | None, list[int]] = {}
        self._condition = compile_filter(generation, condition) if condition else None
        weights = ", ".join(str(a.weight) for a in generation.searched)
        self._score = f"bm25({generation.text}, {weights}, {PARTS_WEIGHT}, {PARTS_WEIGHT})"

    def count(self, expression: str | None) -> int:
        """How many documents there are."""
        if self._tallies:  # which want the numbers anyway
            return len(self._numbers(expression))
        source, values = self._source(expression)
        return int(self.db.execute(f"SELECT count(*) {source}", values).fetchone()[0])

    def facets(
        self, expression: str | None, attributes: Sequence[Attribute]
    ) -> dict[str, dict[str, int]]:
        """How many documents have each value, most first, by the attribute's label."""
        if not attributes:
            return {}
        rows = self._tallied(expression)
        kept = self.generation.index.facets
        if rows is None:
            kept = tuple(attributes)
            source, values = self._source(expression, with_rows=True)
            # Counted here and not by GROUP BY, which would sort all rows first.
            rows = Counter(self.db.execute(f"SELECT {columns(kept)} {source}", values))
        return {a.label: facet(a, kept.index(a), rows) for a in attributes}

    def _tallied(self, expression: str | None) -> Counter[Combination] | None:
        if self._tallies is None:
            return None
        return self._tallies.count(self.db, self.generation, self._numbers(expression))

    def _numbers(self, expression: str | None) -> list[int]:
        """The numbers of the documents, which are read once."""
        if expression not in self._read:
            source, values = self._source(expression)
            # SQLite hands over one long text much faster than thousands of rows.
            number = "r.id" if expression is None else f"{self.generation.text}.rowid"
            query = f"SELECT json_group_array({number}) {source}"
            (text,) = self.db.execute(query, values).fetchone()
            self._read[expression] = json.loads(text)
        return self._read[expression]

    def sorted(
        self, expression: str | None, orders: Iterable[Order], limit: int, offset: int
    ) -> list[int]:
        """The numbers of some documents, in an order that attributes decide."""
        source, values = self._source(expression, with_rows=True)
        query = f"SELECT r.id {source} ORDER BY {_order(orders)} LIMIT ? OFFSET ?"
        return [number for (number,) in self.db.execute(query, [*values, limit, offset])]

    def scored(self, expression: str, limit: int) -> dict[int, float]:
        """The best documents by BM25, best first, with a score that is the greater the better."""
        source, values = self._source(expression)
        query = f"SELECT {self.generation.text}.rowid, {self._score} {source} ORDER BY 2, 1 LIMIT ?"
        return {number: -score for number, score in self.db.execute(query, [*values, limit])}

    def candidates(self, scores: dict[int, float]) -> list[Candidate]:
        """What is needed to rank these documents, in the order that decides between equals."""
        generation = self.generation
        columns = ", ".join(["t.rowid", *(f"t.a_{a.name}" for a in generation.heavy)])
        query = (
            f"SELECT {columns} FROM json_each(?) w CROSS JOIN {generation.text} t"
            f" ON t.rowid = w.value CROSS JOIN {generation.row} r ON r.id = w.value"
            f" ORDER BY {_order(generation.index.tie_breakers)}"
        )
        rows = self.db.execute(query, (json.dumps(list(scores)),))
        return [Candidate(number, scores[number], tuple(words)) for number, *words in rows]

    def _source(self, expression: str | None, *, with_rows: bool = False) -> tuple[str, list[Any]]:
        """FROM and WHERE, and their parameters."""
        generation, condition = self.generation, self._condition
        if expression is None:
            where = f" WHERE {condition[0]}" if condition else ""
            return f"FROM {generation.row} r{where}", condition[1] if condition else []
        matches = f"{generation.text} MATCH ?"
        if condition is None and not with_rows:
            return f"FROM {generation.text} WHERE {matches}", [expression]
        # CROSS JOIN keeps this order: the other one would ask for each row whether it matches.
        source = (
            f"FROM {generation.text} CROSS JOIN {generation.row} r"
            f" ON r.id = {generation.text}.rowid WHERE {matches}"
        )
        if condition is None:
            return source, [expression]
        return f"{source} AND {condition[0]}", [expression, *condition[1]]


def _order(orders: Iterable[Order]) -> str:
    # What has no value comes last, either way.
    columns = ((f"r.f_{order.attribute}", order.descending) for order in orders)
    by = (f"{name} IS NULL, {name} {'DESC' if down else 'ASC'}" for name, down in columns)
    return ", ".join([*by, "r.id"])
