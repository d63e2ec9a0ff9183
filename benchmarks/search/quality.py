"""Whether the right document is among the first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from benchmarks.search.collection import Expected, with_typos
from benchmarks.search.contender import Contender

FIRST = 3


@dataclass
class Share:
    """How many of how many, and which were missed."""

    hits: int = 0
    of: int = 0
    missed: list[str] = field(default_factory=list)

    def note(self, text: str, *, is_hit: bool) -> None:
        self.of += 1
        self.hits += is_hit
        if not is_hit:
            self.missed.append(text)

    @property
    def percent(self) -> float:
        return 100 * self.hits / self.of if self.of else 0.0


@dataclass
class Quality:
    """What one contender finds."""

    title: str
    exact: dict[str, Share] = field(default_factory=dict)
    typos: dict[str, Share] = field(default_factory=dict)
    short: Share = field(default_factory=Share)


def measure(
    contender: Contender, queries: list[Expected], words: list[str], tick: Callable[[], None]
) -> Quality:
    """Ask everything: each query, each with its typos, and the words of two characters."""
    found = Quality(contender.title)
    for query in queries:
        exact = found.exact.setdefault(query.language, Share())
        typos = found.typos.setdefault(query.language, Share())
        exact.note(query.text, is_hit=_is_found(contender, query.text, query.document))
        for text in with_typos(query.text):
            typos.note(text, is_hit=_is_found(contender, text, query.document))
        tick()
    for word in words:
        found.short.note(word, is_hit=bool(contender.find(word, FIRST)))
    return found


def _is_found(contender: Contender, text: str, document: str) -> bool:
    return document in contender.find(text, FIRST)
