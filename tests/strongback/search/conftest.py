"""Each engine in turn, empty; and an index that has something of everything."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from strongback.search import Attribute, Engine, Index, Kind
from strongback.search.tantivy import TantivyEngine
from tests.support.meilisearch_server import URL, real_engine

# The header of the test run says whether there is a Meilisearch, so that nothing is skipped.
ENGINES = [pytest.param("tantivy_engine", id="tantivy")]
if URL:
    ENGINES.append(pytest.param("meilisearch_engine", id="meilisearch"))

BOOK = Index(
    "book",
    key="id",
    attributes=(
        Attribute("id", Kind.INTEGER),
        Attribute("title", weight=10),
        Attribute("tags", weight=5, multi_valued=True, facet=True, alias="tag"),
        Attribute("text", weight=1, shown=False),
        Attribute("language", facet=True),
        Attribute("pages", Kind.INTEGER, filterable=True, sortable=True),
        Attribute("price", Kind.NUMBER, filterable=True, sortable=True),
        Attribute("lent", Kind.BOOLEAN, filterable=True),
        Attribute("published_at", Kind.DATETIME, filterable=True, sortable=True),
        Attribute("version", Kind.INTEGER),
    ),
    suggests="title",
    version="version",
    ranking=("-published_at",),
    synonyms={"db": ("database", "数据库")},
    stop_words=frozenset({"the", "of", "and", "的"}),
)


def book(number: int, title: str = "Untitled", text: str = "", **values: Any) -> dict[str, Any]:
    """A document."""
    return {
        "id": number,
        "title": title,
        "tags": [],
        "text": text,
        "language": "en",
        "published_at": datetime(2026, 1, 1, tzinfo=UTC),
        "version": 1,
    } | values


@pytest.fixture
def tantivy_engine(tmp_path: Path) -> Iterator[TantivyEngine]:
    """The engine that needs no server."""
    engine = TantivyEngine(tmp_path / "var" / "search")
    yield engine
    engine.close()


@pytest.fixture
def meilisearch_engine(starts_processes: None) -> Iterator[Engine]:
    """The engine of the Meilisearch that MEILI_URL names."""
    with real_engine() as engine:
        yield engine


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Engine:
    """Each engine, without an index; Meilisearch where MEILI_URL names one for the tests."""
    engine: Engine = request.getfixturevalue(request.param)
    return engine


@pytest.fixture
def shelf(engine: Engine) -> Engine:
    """The engine with an empty index."""
    engine.prepare(BOOK)
    return engine
