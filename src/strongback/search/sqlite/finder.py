"""Finds documents of one generation: what has every word, or else what has most of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from strongback.search.index import Attribute
from strongback.search.query import Query
from strongback.search.sqlite.expression import (
    Group,
    express_all,
    express_any,
    express_most,
    express_titled,
    has_typo,
    read_groups,
    widen,
)
from strongback.search.sqlite.generation import SUGGESTED
from strongback.search.sqlite.ranking import rank
from strongback.search.sqlite.selection import Selection
from strongback.search.sqlite.vocabulary import ONE_TYPO

ENOUGH = 10
"""Documents from which on nobody looks for similar words."""
SCARCE = 3
"""Documents from which on nobody looks for what lacks a word."""
FEW = 4
"""Words up to which one may be lacking anywhere: each way to leave one out takes its time."""
WINDOW = 120
"""Of so many documents that are best by BM25 the order is decided by where the words are."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a query finds."""

    numbers: list[int]
    """Of the documents of the page, in order."""
    total: int
    groups: Sequence[Group]
    """What the words of the query stand for, for highlighting."""
    facets: dict[str, dict[str, int]]


@dataclass(frozen=True, slots=True)
class Stage:
    """One way to read a query, and how many documents that finds."""

    expression: str
    """What is found."""
    groups: Sequence[Group]
    total: int
    scored: str
    """What of it is found by all words, and ordered by BM25, whose time each word adds to."""
    titled: str | None
    """What of it is found by most words of a title."""


class Finder:
    """One search.

    Args:
        selection: Where, and the filter.
        query: What.
        within: The attribute that is suggested, to look at nothing else.
    """

    def __init__(self, selection: Selection, query: Query, within: Attribute | None = None) -> None:
        self._selection = selection
        self._generation = selection.generation
        self._query = query
        self._within = within

    def run(self) -> Found:
        """Find."""
        groups = read_groups(self._selection.db, self._generation, self._query.text)
        if not groups and self._query.text.strip():
            return self._nothing(groups)
        if not groups:
            orders = self._query.sort or self._generation.index.tie_breakers
            numbers = self._selection.sorted(None, orders, self._size, self._offset)
            return Found(numbers, self._selection.count(None), [], self._facets(None))
        stages = self._strict(groups)
        if not stages or stages[-1].total < SCARCE:
            stages += self._loose(groups, has_some=bool(stages))
        if not stages:
            return self._nothing(groups)
        return self._ranked(stages) if not self._query.sort else self._sorted(stages[0])

    def _nothing(self, groups: Sequence[Group]) -> Found:
        return Found([], 0, groups, {a.label: {} for a in self._counted})

    # Stages

    def _strict(self, groups: list[Group]) -> list[Stage]:
        """What has all words; if that is little, also what has similar ones."""
        db, generation = self._selection.db, self._generation
        groups = [widen(db, generation, g) if has_typo(db, generation, g) else g for g in groups]
        stage = self._complete(groups)
        if stage.total >= ENOUGH:
            return [stage]
        wide = self._widened(groups)
        wider = self._complete(wide) if wide != groups else stage
        stages = [stage, wider] if wider.total > stage.total else [stage]
        return [stage for stage in stages if stage.total]

    def _complete(self, groups: Sequence[Group]) -> Stage:
        """What has all words, or lacks one that the title does not need."""
        everything = self._within_attribute(express_all(self._generation, groups))
        titled = None if self._within else express_titled(self._generation, groups)
        expression = f"({everything}) OR ({titled})" if titled else everything
        total = self._selection.count(expression)
        return Stage(expression, groups, total, everything, titled)

    def _loose(self, groups: list[Group], *, has_some: bool) -> list[Stage]:
        """What lacks one word; or has any, if nothing else has been found."""
        wide, generation = self._widened(groups), self._generation
        choices = []
        if 2 < len(groups) <= FEW:  # noqa: PLR2004  one less than two is any
            choices.append(express_most(generation, wide))
        if len(groups) > 1 and not has_some:
            choices.append(express_any(generation, wide))
        for choice in choices:
            expression = self._within_attribute(choice)
            if total := self._selection.count(expression):
                return [Stage(expression, wide, total, expression, None)]
        return []

    def _within_attribute(self, expression: str) -> str:
        if self._within is None:
            return expression
        return f"{{a_{self._within.name} {SUGGESTED}}} : ({expression})"

    def _widened(self, groups: Iterable[Group]) -> list[Group]:
        db, generation = self._selection.db, self._generation
        return [widen(db, generation, g) if len(g.word) != ONE_TYPO - 1 else g for g in groups]

    # Answers

    @property
    def _size(self) -> int:
        return self._query.page_size

    @property
    def _offset(self) -> int:
        return (self._query.page - 1) * self._query.page_size

    @property
    def _counted(self) -> list[Attribute]:
        return [self._generation.index[name] for name in self._query.facets]

    def _facets(self, expression: str | None) -> dict[str, dict[str, int]]:
        return self._selection.facets(expression, self._counted)

    def _sorted(self, stage: Stage) -> Found:
        numbers = self._selection.sorted(
            stage.expression, self._query.sort, self._size, self._offset
        )
        return Found(numbers, stage.total, stage.groups, self._facets(stage.expression))

    def _ranked(self, stages: Sequence[Stage]) -> Found:
        """What an earlier stage finds stands before the rest."""
        last = stages[-1]
        end = self._offset + self._size
        numbers: list[int] = []
        for stage in stages:
            known = set(numbers)
            numbers += [n for n in self._best(stage, end + len(known)) if n not in known]
        page = numbers[self._offset : end]
        return Found(page, last.total, last.groups, self._facets(last.expression))

    def _best(self, stage: Stage, count: int) -> list[int]:
        """At least so many, if there are: the window by where the words are, the rest by BM25."""
        first = rank(
            self._generation, stage.groups, self._selection.candidates(self._window(stage))
        )
        if len(first) >= min(count, stage.total):
            return first
        taken = set(first)
        rest = self._selection.scored(stage.scored, count)
        return first + [number for number in rest if number not in taken]

    def _window(self, stage: Stage) -> dict[int, float]:
        """What the order is decided of, whatever page is asked for, with BM25's opinion."""
        if self._within or stage.total <= WINDOW:
            window = self._selection.scored(stage.scored, WINDOW)
        else:
            window = self._weighty(stage)
        if stage.titled:
            titled = self._selection.sorted(stage.titled, (), WINDOW, 0)
            window = dict.fromkeys(titled, 0.0) | window
        return window

    def _weighty(self, stage: Stage) -> dict[int, float]:
        """What has the words in its title; if that is little, in its tags and such; or anywhere.

        To score half of all documents takes its time, and BM25 would put the title of a long text
        behind short texts that repeat the word.
        """
        index, heavy = self._generation.index, self._generation.heavy
        window: dict[int, float] = {}
        for attributes in filter(None, (index.searchable[:1], heavy, index.searchable)):
            if len(window) >= WINDOW:
                break
            columns = " ".join(f"a_{attribute.name}" for attribute in attributes)
            everywhere = len(attributes) == len(index.searchable)
            expression = stage.scored if everywhere else f"{{{columns}}} : ({stage.scored})"
            window = self._selection.scored(expression, WINDOW) | window
        return window
