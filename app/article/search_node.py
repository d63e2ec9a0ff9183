"""What is cached of searches: answers ready to be sent, as long as the index stays as it is."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import timedelta
from hashlib import sha256
from typing import Any

from pydantic import TypeAdapter

from app.article.index import ArticleSearch
from app.article.node import NEAR, STORAGES
from app.article.search_schema import SearchQuery, SearchResults, Suggestions, SuggestQuery
from app.core.cache import Manager, Node, StorageOptions
from app.core.schema import RequestQuery

ANSWERS = 500
"""Answers that one process keeps. What people type has no end, and an answer takes some 10 KB:
among the articles it would drive out what is read again."""
ANSWER_STORAGES: Sequence[str | StorageOptions] = [{**NEAR, "storage": "search"}, "redis"]

_RESULTS = TypeAdapter(SearchResults)
_SUGGESTIONS = TypeAdapter(Suggestions)


class IndexState(Node[str]):
    """A name for the present state of the index: part of every key, new after a change."""

    storages = STORAGES
    prefix = "search-index"
    ttl = timedelta(hours=1)

    def key(self) -> str:
        """There is one."""
        return ""

    def load(self) -> str | None:
        """A name that was never used."""
        return secrets.token_hex(8)


class _AnswerNode(Node[bytes]):
    def __init__(self, state: str, wanted: RequestQuery, search: ArticleSearch) -> None:
        self._state = state
        self._wanted = wanted
        self._search = search

    def key(self) -> str:
        """The index's state, and what was asked for."""
        asked = self._wanted.model_dump_json(exclude_defaults=True)
        return f"{self._state}:{sha256(asked.encode()).hexdigest()}"


class SearchNode(_AnswerNode):
    """A page of what is found."""

    storages = ANSWER_STORAGES
    prefix = "search"
    ttl = timedelta(seconds=30)
    _wanted: SearchQuery

    def load(self) -> bytes | None:
        """Find it, and write the answer."""
        wanted = self._wanted
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


class SuggestNode(_AnswerNode):
    """Titles for what somebody is typing."""

    storages = ANSWER_STORAGES
    prefix = "suggest"
    ttl = timedelta(seconds=30)
    _wanted: SuggestQuery

    def load(self) -> bytes | None:
        """Find them, and write the answer."""
        items = [
            {
                "text": suggestion.text,
                "highlight": suggestion.highlight,
                "slug": suggestion.document["slug"],
                "language": suggestion.document["language"],
            }
            for suggestion in self._search.suggest(self._wanted.q)
        ]
        return _SUGGESTIONS.dump_json(_SUGGESTIONS.validate_python({"items": items}))


class SearchAnswers:
    """Searches articles, and answers as JSON."""

    def __init__(self, search: ArticleSearch, cache: Manager) -> None:
        self._search = search
        self._cache = cache
        cache.register_node(IndexState, SearchNode, SuggestNode)

    def find(self, wanted: SearchQuery) -> bytes:
        """Find articles.

        Raises:
            BadFilter: The filter cannot be read.
            BadSort: There is no such order.
            SearchUnavailable: The engine does not answer.
        """
        return self._get(SearchNode(self._state(), wanted, self._search))

    def suggest(self, wanted: SuggestQuery) -> bytes:
        """Find titles that somebody may be about to type.

        Raises:
            SearchUnavailable: The engine does not answer.
        """
        return self._get(SuggestNode(self._state(), wanted, self._search))

    def _get(self, node: _AnswerNode) -> bytes:
        return self._cache.get(node) or b""  # there is always an answer, if only an empty list

    def _state(self) -> str:
        return self._cache.get(IndexState()) or ""
