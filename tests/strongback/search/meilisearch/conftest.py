"""An engine on the recording server."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

import pytest

from strongback.search import Attribute, Index, Kind, Query
from strongback.search.meilisearch import MeilisearchEngine
from tests.support.meilisearch import MASTER_KEY, Meilisearch, StoredIndex, run_meilisearch

ARTICLE = Index(
    "article",
    key="id",
    attributes=(
        Attribute("id", Kind.INTEGER),
        Attribute("title", weight=10),
        Attribute("tags", weight=5, multi_valued=True, filterable=True, facet=True, alias="tag"),
        Attribute("body", weight=1, shown=False),
        Attribute("language", filterable=True, facet=True),
        Attribute("likes", Kind.INTEGER, filterable=True, sortable=True),
        Attribute("featured", Kind.BOOLEAN, filterable=True),
        Attribute("published_at", Kind.DATETIME, filterable=True, sortable=True),
        Attribute("version", Kind.INTEGER),
    ),
    suggests="title",
    version="version",
    ranking=("-published_at",),
    synonyms={"js": ("javascript",)},
    stop_words=frozenset({"the", "a"}),
)


def article(number: int, **values: Any) -> dict[str, Any]:
    """A document with something in every attribute."""
    return {
        "id": number,
        "title": f"Title {number}",
        "tags": ["async", "sql"],
        "body": "A body.",
        "language": "en",
        "likes": number,
        "featured": True,
        "published_at": datetime(2026, 1, 1, 12, 30, 0, number, tzinfo=UTC),
        "version": 1,
    } | values


@pytest.fixture
def server() -> Iterator[Meilisearch]:
    """A server; the test fails if it was asked for what the published API does not know."""
    with run_meilisearch() as server:
        yield server


@pytest.fixture
def engine(server: Meilisearch) -> MeilisearchEngine:
    """An engine that knows the master key."""
    return MeilisearchEngine(server.url, MASTER_KEY)


@pytest.fixture(scope="module")
def made() -> tuple[dict[str, StoredIndex], dict[str, dict[str, Any]]]:
    """The indexes and keys of a server on which an engine has made its own."""
    with run_meilisearch() as server:
        engine = MeilisearchEngine(server.url, MASTER_KEY)
        engine.prepare(ARTICLE)
        engine.search(ARTICLE, Query())
    return server.indexes, server.keys


@pytest.fixture
def prepared(
    engine: MeilisearchEngine,
    server: Meilisearch,
    made: tuple[dict[str, StoredIndex], dict[str, dict[str, Any]]],
) -> MeilisearchEngine:
    """The same, its index and keys made earlier."""
    server.indexes, server.keys = deepcopy(made)
    return engine
