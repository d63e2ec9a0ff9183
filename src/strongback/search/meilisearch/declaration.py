"""An index's declaration as Meilisearch's settings, and how they differ from those it has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from strongback.search.index import Index
from strongback.search.meilisearch.document import CHARACTERS, FORM, PRIMARY
from strongback.search.query import MAX_FACET_VALUES
from strongback.search.separator import SEPARATORS

RANKING = ("sort", "words", "typo", "proximity", "attributeRank", "wordPosition", "exactness")
"""Meilisearch's own rules, except that an order which is asked for comes before relevance."""
MAX_TOTAL = 1_000_000
"""Up to here totals are exact and pages can be turned; Meilisearch's default is 1,000."""
SEARCH_CUTOFF_MS = 700
"""Milliseconds after which Meilisearch answers with what it has found."""
LOCALES = ["cmn", "eng"]
"""Languages of the texts (ISO 639-3). Without them a Chinese text with one Japanese letter would be
cut into words as Japanese."""
# Settings whose lists have no order: Meilisearch gives some of them back sorted.
_SETS = frozenset({"filterableAttributes", "sortableAttributes", "stopWords", "separatorTokens"})


def settings_of(index: Index) -> dict[str, Any]:
    """Return Meilisearch's settings for a declaration: those that it determines, no others."""
    ties = [
        f"{order.attribute}:{'desc' if order.descending else 'asc'}" for order in index.tie_breakers
    ]
    return {
        "searchableAttributes": [*(a.name for a in index.searchable), CHARACTERS],
        "filterableAttributes": [*(a.name for a in index.filterable), PRIMARY, FORM],
        "sortableAttributes": [attribute.name for attribute in index.sortable],
        "rankingRules": [*RANKING, *ties],
        "stopWords": sorted(index.stop_words),
        "separatorTokens": sorted(SEPARATORS),
        "synonyms": {word: list(others) for word, others in index.synonyms.items()},
        "typoTolerance": {"enabled": True, "minWordSizeForTypos": {"oneTypo": 5, "twoTypos": 9}},
        "pagination": {"maxTotalHits": MAX_TOTAL},
        "faceting": {"maxValuesPerFacet": MAX_FACET_VALUES, "sortFacetValuesBy": {"*": "count"}},
        "localizedAttributes": [{"attributePatterns": ["*"], "locales": LOCALES}],
        "searchCutoffMs": SEARCH_CUTOFF_MS,
    }


def differences(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, Any]:
    """Return those settings that Meilisearch has otherwise; what it has besides is its own."""
    return {
        name: value for name, value in wanted.items() if not _equal(name, value, found.get(name))
    }


def _equal(name: str, wanted: Any, found: Any) -> bool:  # noqa: ANN401  any JSON value
    if isinstance(wanted, dict) and isinstance(found, dict):
        if name == "synonyms" and wanted.keys() != found.keys():
            return False
        return all(_equal("", value, found.get(key)) for key, value in wanted.items())
    if name in _SETS:
        return isinstance(found, list) and sorted(wanted) == sorted(map(str, found))
    return bool(wanted == found)
