"""The order of what was found: where the words are counts more than how often."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from strongback.search.sqlite.expression import Group
from strongback.search.sqlite.generation import Generation

WHOLE = 0.3
"""What it is worth that an attribute consists of the words looked for and nothing else."""
BM25 = 0.5
"""What it is worth to be the best by BM25."""
LIGHTEST = 0.02
"""What a word counts that is in none of the attributes that are looked at."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A document that was found."""

    number: int
    bm25: float
    """The greater the better."""
    words: tuple[str, ...]
    """Of each of the generation's `heavy` attributes, joined by spaces."""


def rank(
    generation: Generation, groups: Sequence[Group], candidates: Sequence[Candidate]
) -> list[int]:
    """The numbers of the candidates, best first; equals stay in their order."""
    if not candidates:
        return []
    heaviest = generation.index.searchable[0].weight
    weights = [a.weight / heaviest for a in generation.heavy]
    most = max(candidate.bm25 for candidate in candidates) or 1.0

    def score(candidate: Candidate) -> float:
        place = _place(groups, weights, candidate.words)
        return round(place + BM25 * candidate.bm25 / most, 6)

    return [c.number for c in sorted(candidates, key=score, reverse=True)]


def _place(groups: Sequence[Group], weights: Sequence[float], texts: tuple[str, ...]) -> float:
    """How important the attributes are in which the words are, from 0 to 1 and a bit."""
    best = [LIGHTEST] * len(groups)
    whole = 0.0
    for weight, text in zip(weights, texts, strict=True):
        if not text:
            continue
        words = text.split()
        covered: set[str] = set()
        for i, group in enumerate(groups):
            if hits := _hits(group, words, text):
                covered.update(hits)
                best[i] = max(best[i], weight)
        whole = max(whole, weight * len(covered) / len(set(words)))
    return sum(best) / len(groups) + WHOLE * whole


def _hits(group: Group, words: list[str], text: str) -> set[str]:
    """The words of an attribute that are the group's."""
    hits = group.forms.intersection(words)
    for beginning in group.beginnings:
        hits = hits | {word for word in words if word.startswith(beginning)}
    characters = text.replace(" ", "") if group.runs else ""
    for run in group.runs:
        if run in characters:
            hits = hits | {word for word in words if run in word or word in run}
    if any(" ".join(phrase) in text for phrase in group.phrases):
        hits = hits | {word for phrase in group.phrases for word in phrase}
    return set(hits)
