"""Queries and results: the same for every engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from strongback.search.exceptions import BadSort, SearchMisuse
from strongback.search.filter import Filter
from strongback.search.index import Index, Key, Order

MAX_TEXT = 512
"""Characters of a query that are looked at."""
MAX_WORDS = 16
"""Words of a query that are looked for."""
MAX_FACET_VALUES = 100
"""Values of a facet that are counted: those of most documents."""
MARK = ("<mark>", "</mark>")
"""Tags around a word that was found. The text around it is escaped for HTML."""


@dataclass(frozen=True, slots=True)
class Query:
    """A search.

    An empty text finds every document, and one that has neither letters nor digits, such as `???`,
    finds none. The last word may be unfinished unless a space follows it, so that people see
    results while they type.
    """

    text: str = ""
    """The text as typed; no text is an error."""
    filter: Filter | None = None
    """Condition that documents have to meet."""
    sort: tuple[Order, ...] = ()
    """The order; by relevance, then by the index's ranking, where left out."""
    page: int = 1
    """Number of the page, from 1."""
    page_size: int = 20
    """Results on a page."""
    highlight: tuple[str, ...] = ()
    """Attributes whose texts are wanted with the found words marked."""
    crop: int = 200
    """Characters of a longer text that are shown around the words found."""
    facets: tuple[str, ...] = ()
    """Attributes whose values are counted over everything that was found."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A document that was found."""

    document: Mapping[str, Any]
    """Its attributes, as far as the index shows them; what it lacks is None."""
    highlight: Mapping[str, str] = field(default_factory=dict)
    """HTML with the words found marked, for those of the attributes asked for that have any
    text; cut to the part where most words are. Values of a list are joined by commas."""


@dataclass(frozen=True, slots=True)
class Result:
    """One page of what was found."""

    hits: list[Hit] = field(default_factory=list)
    total: int = 0
    """Documents found on all pages."""
    took_ms: float = 0.0
    """Milliseconds that the engine took."""
    facets: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Documents for each value, most first, by the attribute's label."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A text that somebody may be about to type."""

    text: str
    """The suggested attribute, as it is."""
    highlight: str
    """The same as HTML, with the words found marked."""
    document: Mapping[str, Any]
    """The document that it belongs to, as far as the index shows it."""


@dataclass(frozen=True, slots=True)
class Status:
    """State of an index."""

    exists: bool
    """Whether it was ever built."""
    documents: int = 0
    """Number of documents."""
    is_current: bool = True
    """Whether it was built for the present declaration."""
    differences: tuple[str, ...] = ()
    """Differences between the engine's settings and the declaration, in words."""
    size_bytes: int | None = None
    """Size on disk, where the engine tells."""
    is_building: bool = False
    """Whether it is being built anew."""


Stamp = tuple[Key, Any]
"""A document's key, and the value of the index's `version`."""


def check_query(index: Index, query: Query) -> None:
    """Raise SearchMisuse unless an index declares what a query sorts and counts by."""
    for order in query.sort:
        if not index[order.attribute].sortable:
            raise SearchMisuse(f"index {index.name} is not sorted by {order.attribute}")
    for name in query.facets:
        if not index[name].facet:
            raise SearchMisuse(f"index {index.name} does not count by {name}")


def most_first(counts: Mapping[str, int]) -> dict[str, int]:
    """The values of a facet in the order in which people read them."""
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def parse_sort(index: Index, text: str) -> tuple[Order, ...]:
    """Read `-published_at,title`.

    Raises:
        BadSort: Results cannot be sorted by one of them.
    """
    names = [attribute.name for attribute in index.sortable]
    orders = tuple(Order.parse(part.strip()) for part in text.split(",") if part.strip())
    for order in orders:
        if order.attribute not in names:
            raise BadSort(order.attribute, ", ".join(names))
    return orders
