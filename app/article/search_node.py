"""What is cached of searches: answers ready to be sent, as long as the index stays as it is."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from pydantic import TypeAdapter

from app.article.index import ArticleSearch
from app.article.search_schema import SearchQuery, SearchResults, Suggestions, SuggestQuery
from strongback.cache import CachedList, Manager, StorageOptions

ANSWERS = 500
"""Answers that one process keeps. What people type has no end, and an answer takes some 10 KB:
among the articles it would drive out what is read again."""
ANSWER_STORAGES: Sequence[str | StorageOptions] = [
    {"storage": "search", "ttl": timedelta(seconds=2)},
    "redis",
]

_RESULTS = TypeAdapter(SearchResults)
_SUGGESTIONS = TypeAdapter(Suggestions)


class SearchAnswers:
    """Searches articles, and answers as JSON."""

    def __init__(self, search: ArticleSearch, cache: Manager) -> None:
        self._search = search
        self._cache = cache
        self._found, self._suggested = (
            CachedList(cache, prefix, bytes, storages=ANSWER_STORAGES, ttl=timedelta(seconds=30))
            for prefix in ("search", "suggest")
        )

    def forget(self) -> None:
        """Search again, as the index has changed: within a second while it goes on changing."""
        self._cache.remove_keys([*self._found.counted_keys(), *self._suggested.counted_keys()])

    def find(self, wanted: SearchQuery) -> bytes:
        """Find articles.

        Raises:
            BadFilter: The filter is invalid.
            BadSort: The sort key is invalid.
            SearchUnavailable: The engine is unavailable.
        """
        return self._found.get("", wanted, lambda: self._find(wanted))

    def suggest(self, wanted: SuggestQuery) -> bytes:
        """Find titles for incomplete input.

        Raises:
            SearchUnavailable: The engine is unavailable.
        """
        return self._suggested.get("", wanted, lambda: self._suggest(wanted))

    def _find(self, wanted: SearchQuery) -> bytes:
        result = self._search.find(wanted)
        answer: dict[str, Any] = {
            "items": [{**hit.document, "highlight": hit.highlight} for hit in result.hits],
            "page": wanted.page,
            "page_size": wanted.page_size,
            "total": result.total,
            "took_ms": result.took_ms,
            "facets": result.facets,
        }
        return _RESULTS.dump_json(_RESULTS.validate_python(answer))

    def _suggest(self, wanted: SuggestQuery) -> bytes:
        items = [
            {
                "text": suggestion.text,
                "highlight": suggestion.highlight,
                "slug": suggestion.document["slug"],
                "language": suggestion.document["language"],
            }
            for suggestion in self._search.suggest(wanted.q)
        ]
        return _SUGGESTIONS.dump_json(_SUGGESTIONS.validate_python({"items": items}))
