"""Finds documents: those that have every word, or else those that have most of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import tantivy
from tantivy import DocAddress, Searcher

from strongback.search.index import Attribute, Index, Kind, Order
from strongback.search.query import MAX_FACET_VALUES, MAX_TEXT, MAX_WORDS, Query, most_first
from strongback.search.tantivy.condition import compile_filter
from strongback.search.tantivy.ranking import QueryBuilder
from strongback.search.tantivy.schema import count_field, decode, value_field
from strongback.search.tantivy.typed import Word, read_words, widen
from strongback.search.tantivy.vocabulary import ONE_TYPO, Vocabulary, allowed_typos
from strongback.search.tantivy.word import fold, is_run, split_query

ENOUGH = 10
"""Documents from which on nobody looks for similar words."""
SCARCE = 3
"""Documents from which on nobody looks for what lacks a word."""
TITLED = 6
"""Words up to which one may be lacking in the heaviest attribute."""
WINDOW = 120
"""Documents that are the best: among them, the index's `ranking` decides between equals."""
STAGE = 100.0
"""More than any score: what an earlier way to read a query finds stands before the rest."""


Hit = tuple[Any, DocAddress]
"""A score or value, and a document."""


@dataclass(frozen=True, slots=True)
class Found:
    """Result of a query."""

    addresses: Sequence[DocAddress] = ()
    """Of the documents of the page, in order."""
    total: int = 0
    words: Sequence[Word] = ()
    """The words of the query, for highlighting."""
    facets: dict[str, dict[str, int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Stage:
    """One way to read a query, and how many documents that finds."""

    query: tantivy.Query
    words: Sequence[Word]
    hits: list[Hit]
    """The best, if the order is by relevance."""
    total: int


class Finder:
    """One search; `within` an attribute, it looks at nothing else."""

    def __init__(
        self,
        searcher: Searcher,
        schema: tantivy.Schema,
        index: Index,
        query: Query,
        within: Attribute | None = None,
    ) -> None:
        self._searcher = searcher
        self._index = index
        self._query = query
        self._within = within
        self._vocabulary = Vocabulary(searcher, schema)
        self._builder = QueryBuilder(schema, index, within)
        self._pieces = split_query(query.text[:MAX_TEXT])[:MAX_WORDS]
        self._wide: dict[str, Word] = {}
        self._condition = compile_filter(schema, query.filter) if query.filter else None
        self._offset = (query.page - 1) * query.page_size
        self._end = self._offset + query.page_size
        self._limit = max(self._end, WINDOW)
        self._counted = [index[name] for name in query.facets]

    def run(self) -> Found:
        """Find."""
        words = read_words(self._index, self._vocabulary, self._query.text)
        if words:
            stages = self._stages(words)
        elif self._query.text.strip():
            stages = []
        else:
            every = self._builder.narrowed(tantivy.Query.all_query(), self._condition)
            stages = [Stage(every, [], [], self._search(every, 1)[1])]
        if not stages:
            return Found(words=words, facets={a.label: {} for a in self._counted})
        is_sorted = self._query.sort or not words
        addresses = self._sorted(stages[0]) if is_sorted else self._ranked(stages)
        stage = stages[0] if is_sorted else stages[-1]
        return Found(addresses, stage.total, stage.words, self._facets(stage.query))

    # Stages

    def _stages(self, words: list[Word]) -> list[Stage]:
        """Ways to read the query, from the strictest on; each finds more than the one before."""
        words = [self._widened(word) if self._is_mistyped(word) else word for word in words]
        stages = [self._complete(words)]
        if stages[0].total < ENOUGH:
            wide = [self._widened(w) if len(w.text) != ONE_TYPO - 1 else w for w in words]
            if wide != words:
                stages.append(self._complete(wide))
            if stages[-1].total < SCARCE:
                stages += self._loose(wide, has_some=any(stage.total for stage in stages))
        totals = [0, *(stage.total for stage in stages)]
        return [
            stage for stage, before in zip(stages, totals, strict=False) if stage.total > before
        ]

    def _complete(self, words: Sequence[Word]) -> Stage:
        """Documents with all words, or with all but one in the title."""
        found = self._builder.has(words, len(words))
        if not self._within and 2 < len(words) <= TITLED:  # noqa: PLR2004  one of two is too little
            ways = [found, self._builder.has_most_in_title(words)]
            found = tantivy.Query.boolean_query([(tantivy.Occur.Should, way) for way in ways])
        return self._stage(found, words)

    def _loose(self, words: list[Word], *, has_some: bool) -> list[Stage]:
        """Documents that lack one word; or have any, if nothing else has been found."""
        least = [len(words) - 1] if len(words) > 2 else []  # noqa: PLR2004  of two, that is any
        least += [1] if len(words) > 1 and not has_some else []
        stages = (self._stage(self._builder.has(words, count), words) for count in least)
        return list(islice((stage for stage in stages if stage.total), 1))

    def _stage(self, found: tantivy.Query, words: Sequence[Word]) -> Stage:
        query = self._builder.narrowed(found, self._condition)
        if self._query.sort:
            return Stage(query, words, [], self._search(query, 1)[1])
        ranked = self._builder.ranked(query, words, self._pieces)
        return Stage(query, words, *self._search(ranked, self._limit))

    def _search(self, query: tantivy.Query, limit: int) -> tuple[list[Hit], int]:
        """The best documents, and how many there are."""
        found: Any = self._searcher.search(query, limit=limit)  # its types do not know the count
        return found.hits, int(found.count)

    def _is_mistyped(self, word: Word) -> bool:
        """Whether no document has the word, so that it must mean another."""
        if word.phrases or is_run(word.text) or not allowed_typos(word.text):
            return False
        has_beginning = word.is_begun and self._vocabulary.has_beginning(word.text)
        return not has_beginning and not self._vocabulary.known(word.forms)

    def _widened(self, word: Word) -> Word:
        if word.text not in self._wide:
            self._wide[word.text] = widen(self._vocabulary, word)
        return self._wide[word.text]

    # Orders

    def _ranked(self, stages: Sequence[Stage]) -> list[DocAddress]:
        *earlier, last = stages
        hits = last.hits
        if earlier:
            query = self._builder.ranked(last.query, last.words, self._pieces)
            firsts = [tantivy.Query.const_score_query(stage.query, STAGE) for stage in earlier]
            query = tantivy.Query.boolean_query(
                [(tantivy.Occur.Must, query), *((tantivy.Occur.Should, first) for first in firsts)]
            )
            hits, _ = self._search(query, self._limit)
        best = self._arranged(hits[:WINDOW], self._index.tie_breakers)
        best.sort(key=lambda hit: -round(hit[0], 4))
        return [address for _, address in [*best, *hits[WINDOW:]][self._offset : self._end]]

    def _sorted(self, stage: Stage) -> list[DocAddress]:
        """The page in an order that attributes decide."""
        orders = self._query.sort or self._index.tie_breakers
        if not orders or not stage.total:
            hits = self._searcher.search(stage.query, limit=self._end, count=False).hits
            return [address for _, address in hits[self._offset :]]
        first = orders[0]
        limit = self._end
        while True:
            hits = self._searcher.search(
                stage.query,
                limit=limit,
                count=False,
                order_by_field=value_field(self._index[first.attribute]),
                order=tantivy.Order.Desc if first.descending else tantivy.Order.Asc,
            ).hits
            # What equals the last of the page has to be there too: other orders decide then.
            is_cut = len(hits) == limit and hits[-1][0] == hits[self._end - 1][0]
            if len(orders) == 1 or not is_cut:
                break
            limit *= 4
        arranged = self._arranged(hits, orders)
        return [address for _, address in arranged[self._offset : self._end]]

    def _arranged(self, hits: list[Hit], orders: Sequence[Order]) -> list[Hit]:
        """The hits, sorted; what has no value comes last, either way."""
        at = list(range(len(hits)))
        for order in reversed(orders):
            values = self._values(self._index[order.attribute], [address for _, address in hits])
            last = not order.descending
            keys = [(last, 0) if value is None else (not last, value) for value in values]
            at.sort(key=keys.__getitem__, reverse=order.descending)
        return [hits[i] for i in at]

    def _values(self, attribute: Attribute, addresses: list[DocAddress]) -> list[Any]:
        if attribute.kind is not Kind.TEXT:
            return self._searcher.fast_field_values(value_field(attribute), addresses)
        documents = (decode(self._index, self._searcher.doc(address)) for address in addresses)
        return [fold(document[attribute.name] or "") or None for document in documents]

    # Facets

    def _facets(self, query: tantivy.Query) -> dict[str, dict[str, int]]:
        if not self._counted:
            return {}
        wanted = {
            a.label: {"terms": {"field": count_field(a), "size": MAX_FACET_VALUES}}
            for a in self._counted
        }
        found = self._searcher.aggregate(query, wanted)
        return {
            label: most_first({b["key"]: int(b["doc_count"]) for b in found[label]["buckets"]})
            for label in wanted
        }
