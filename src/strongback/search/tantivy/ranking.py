"""Words as tantivy's queries: what has to be found, and what puts a document first.

A score is a sum. Most counts in which attributes the words are; then how near the whole title is
to what was typed; then BM25. The numbers were found by measuring, see docs/benchmark/search.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tantivy import FieldType, Occur, Query, Schema

from strongback.search.index import Attribute, Index
from strongback.search.tantivy.schema import LENGTH, TEXT, has_words_field, words_field
from strongback.search.tantivy.typed import Word, flatten
from strongback.search.tantivy.word import is_run

PLACE = 10.0
"""Score of all words in the heaviest attribute; in proportion in lighter ones."""
WHOLE = 6.0
"""Score of a heaviest attribute that is the query and nothing more."""
NEARLY_WHOLE = (0, 3, 8)
"""Letters that it may have more, for an equal share of that each."""
TITLE_PHRASE = 5.0
"""Score of the words as a phrase in the heaviest attribute."""
TEXT_PHRASE = 2.0
"""Score of words near one another, and of characters as typed, anywhere."""
TITLE_BM25 = 0.3
"""Factor of BM25 in the heaviest attribute, beside 1 for the whole text."""
SLOP = 2
"""Other words that may stand between words that count as near."""
FORM, BEGUN = 0.8, 0.6
"""Factors of another form of a word and of a word that begins so, beside 1 for the word."""


class QueryBuilder:
    """Builds the queries of one search; `within` an attribute, it looks at nothing else."""

    def __init__(self, schema: Schema, index: Index, within: Attribute | None = None) -> None:
        self._schema = schema
        self._heaviest = within or index.searchable[0]
        self._title = words_field(self._heaviest)
        places = (a for a in index.searchable if has_words_field(index, a))
        self._places = [within] if within else list(places)
        self._has_length = self._heaviest is index.searchable[0]
        self._field = words_field(within) if within else TEXT

    def has(self, words: Sequence[Word], least: int) -> Query:
        """Documents with at least so many of the words, scored by BM25."""
        return self._has(words, least, self._field)

    def has_most_in_title(self, words: Sequence[Word]) -> Query:
        """Documents that lack at most one of the words in the heaviest attribute."""
        return Query.const_score_query(self._has(words, len(words) - 1, self._title), 0)

    def narrowed(self, query: Query, condition: Query | None) -> Query:
        """Documents that also meet a condition."""
        if condition is None:
            return query
        return Query.boolean_query(
            [(Occur.Must, query), (Occur.Must, Query.const_score_query(condition, 0))]
        )

    def ranked(self, query: Query, words: Sequence[Word], pieces: Sequence[str]) -> Query:
        """The documents of a query, the best first; `pieces` are as `split_query` has cut it."""
        scores = [*self._placed(words), *self._phrases(words, pieces)]
        if self._has_length:
            scores += self._whole(words, sum(map(len, pieces)))
        return Query.boolean_query(
            [(Occur.Must, query), *((Occur.Should, score) for score in scores)]
        )

    def _placed(self, words: Sequence[Word]) -> Iterable[Query]:
        for word in words:
            yield Query.disjunction_max_query(
                [
                    Query.const_score_query(
                        self._match(word, words_field(place)),
                        PLACE * place.weight / self._heaviest.weight / len(words),
                    )
                    for place in self._places
                ]
            )
            yield Query.boost_query(self._match(word, self._title), TITLE_BM25 / len(words))

    def _phrases(self, words: Sequence[Word], pieces: Sequence[str]) -> Iterable[Query]:
        whole = flatten(pieces)
        if len(whole) > 1:
            build = Query.phrase_prefix_query if words[-1].is_begun else Query.phrase_query
            phrase = build(self._schema, self._title, list(whole))
            yield Query.const_score_query(phrase, TITLE_PHRASE)
        # What is a word by itself has been looked for already, and stop words are in every text.
        sought = {word.text for word in words}
        spaced = [piece for piece in pieces if piece in sought and not is_run(piece)]
        runs = [piece for piece in pieces if piece not in sought and is_run(piece)]
        for near, slop in [(spaced, SLOP), *((run, 0) for run in runs)]:
            if len(near) > 1:
                phrase = Query.phrase_query(self._schema, self._field, list(near), slop)
                yield Query.const_score_query(phrase, TEXT_PHRASE)

    def _whole(self, words: Sequence[Word], length: int) -> Iterable[Query]:
        has_all = self._has(words, len(words), self._title)
        for more in NEARLY_WHOLE:
            is_short = Query.range_query(
                self._schema, LENGTH, FieldType.Integer, upper_bound=length + more
            )
            both = Query.boolean_query([(Occur.Must, has_all), (Occur.Must, is_short)])
            yield Query.const_score_query(both, WHOLE / len(NEARLY_WHOLE))

    def _has(self, words: Sequence[Word], least: int, field: str) -> Query:
        matches = [Query.boost_query(self._match(word, field), 1 / len(words)) for word in words]
        if least == len(words):
            return Query.boolean_query([(Occur.Must, match) for match in matches])
        return Query.boolean_query([(Occur.Should, match) for match in matches], least)

    def _match(self, word: Word, field: str) -> Query:
        """Everything that counts as a word; its best score counts."""
        choices = [self._term(form, field, word) for form in sorted(word.forms)]
        choices += [self._phrase(phrase, field) for phrase in sorted(word.phrases)]
        if word.is_begun:
            # One letter begins half of all words: only the heaviest attribute is worth it.
            begun = field if len(word.text) > 1 else self._title
            prefix = Query.fuzzy_term_query(self._schema, begun, word.text, 0, prefix=True)
            choices.append(Query.const_score_query(prefix, BEGUN))
        if word.parts:
            parts = [self._phrase(tuple(part), field) for part in word.parts]
            choices.append(Query.boolean_query([(Occur.Must, part) for part in parts]))
        return Query.disjunction_max_query(choices)

    def _term(self, form: str, field: str, word: Word) -> Query:
        term = Query.term_query(self._schema, field, form)
        return term if form == word.text else Query.boost_query(term, FORM)

    def _phrase(self, words: Sequence[str], field: str) -> Query:
        if len(words) == 1:
            return Query.term_query(self._schema, field, words[0])
        return Query.phrase_query(self._schema, field, list(words))
