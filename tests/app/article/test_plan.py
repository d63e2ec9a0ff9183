"""How each back end answers the lists: along one index, whatever is asked."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import insert

from app.article.model import Article, ArticleTag
from app.article.node import ArticlePages
from app.article.page_node import neighbours_of
from app.article.schema import ArticleQuery
from app.article.service import ArticleService
from app.core.config import Settings
from app.user.model import User
from app.user.service import UserService
from strongback.cache import Manager, NullStorage
from strongback.database import Database, utc_now
from strongback.outbox import Outbox
from strongback.paging import encode_cursor
from strongback.testing import empty
from tests.support import plan
from tests.support.kept import Kept

pytestmark = pytest.mark.speaks_sql

COUNT = 3000
FILTERS = {"tag": "common", "author": "ada", "language": "en"}
SORTS = ["-published_at", "published_at", "-updated_at", "updated_at", "-views"]


class Shelf:
    """A database with as many articles as make an index worth while; half pass each filter."""

    def __init__(self, settings: Settings) -> None:
        self.database = Database(settings)
        empty(self.database)
        fill(self.database)

    def close(self) -> None:
        self.database.close()


@pytest.fixture
def articles(kept: Kept, settings: Settings, database_url: str) -> Iterator[ArticleService]:
    """The articles, which these tests read only."""
    shelf = kept.get(Shelf, settings, database_url)
    database = shelf.database
    with database.scope():
        yield ArticleService(database, UserService(database, "Test"), Outbox(database))


def fill(database: Database) -> None:
    now = utc_now()
    rows = [_article(number, now - timedelta(minutes=number)) for number in range(1, COUNT + 1)]
    copied = ("language", "author", "listed", "published_at", "updated_at", "views")
    tags = [
        {"article_id": row["id"], "name": name} | {key: row[key] for key in copied}
        for row in rows
        for name in ("common", f"tag-{row['id'] % 50}")[row["id"] % 2 :]
    ]

    def write(session: Any) -> None:
        for name in ("ada", "eve"):
            session.add(User(username=name, roles=[]))
        session.flush()
        session.execute(insert(Article), rows)
        session.execute(insert(ArticleTag), tags)

    database.transact(write)
    plan.analyze(database.engine, "article", "article_tag")


def _article(number: int, moment: Any) -> dict[str, Any]:
    return {
        "id": number,
        "slug": f"article-{number}",
        "title": "Title",
        "body": "Text. " * 50,
        "html": "<p>Text.</p>" * 30,
        "language": "en" if number % 2 else "zh",
        "author": "ada" if number % 4 < 2 else "eve",
        "listed": True,
        "version": 1,
        "published_at": moment,
        "created_at": moment,
        "updated_at": moment,
        "views": number % 100 if number % 10 == 0 else 0,
    }


def explain(articles: ArticleService, **asked: Any) -> list[str]:
    """What the back end says of how it reads this part of the list."""
    return plan.explain(articles.database.engine, lambda: articles.list(ArticleQuery(**asked)))


def test_a_deep_part_begins_at_its_cursor(articles):
    """Not at the newest entry, whose bound SQLite would rather take."""
    cursor = encode_cursor(utc_now() - timedelta(minutes=COUNT // 2), COUNT // 2)
    for filters in ({}, {"tag": "common"}, {"author": "ada"}, {"language": "en"}):
        lines = explain(articles, cursor=cursor, **filters)
        if articles.database.engine.dialect.name == "sqlite":
            assert "published_at=? AND " in lines[0], lines
            assert "id<?" in lines[0], lines
        require_walk(lines, index_of(next(iter(filters), None), "-published_at"))


def index_of(along: str | None, sort: str) -> str:
    name = {None: "ix_article", "tag": "ix_article_tag_name"}.get(along, f"ix_article_{along}")
    return f"{name}_{sort.removeprefix('-')}"


def require_walk(lines: list[str], index: str) -> None:
    """Fail unless this index alone finds the entries, and their ids the rows."""
    tables = [line for line in lines if "article" in line]
    places = [line for line in tables if index in line]
    assert places, lines
    assert all("COVERING INDEX" in line or "Using index" in line for line in places), lines
    for line in tables:
        is_by_id = "PRIMARY" in line or "pk_" in line or "autoindex" in line
        assert line in places or is_by_id, lines
        assert not line.startswith("SCAN"), lines
    # The tags of one page are sorted afterwards; nothing else is.
    assert not any("filesort" in line or "temporary" in line for line in places), lines


def require_walks(articles: ArticleService, along: str | None, **asked: Any) -> None:
    """Fail unless this part of the list is read in that way, whatever its order."""
    filters = {along: FILTERS[along]} if along else {}
    for sort in SORTS:
        key: Any = 0 if sort == "-views" else utc_now() - timedelta(minutes=COUNT // 2)
        at = {"cursor": encode_cursor(key, COUNT // 2)} if asked == {"cursor": "deep"} else asked
        require_walk(explain(articles, sort=sort, **filters, **at), index_of(along, sort))


@pytest.mark.parametrize("along", [None, *FILTERS])
class TestOneFilter:
    def test_first_part_is_read_from_its_index(self, articles, along):
        require_walks(articles, along, cursor="")

    def test_deep_part_is_read_from_its_index(self, articles, along):
        require_walks(articles, along, cursor="deep")

    def test_page_with_total_is_read_from_its_index(self, articles, along):
        require_walks(articles, along, page=20)


def test_names_for_warming_are_read_from_an_index_part_by_part(articles):
    cache = Manager()
    for storage in ("local", "redis"):
        cache.register_storage(storage, NullStorage())
    pages = ArticlePages(articles.database, cache)
    found: list[str] = []
    lines = plan.explain(articles.database.engine, lambda: found.extend(pages.slugs()))
    assert len(set(found)) == len(found) == COUNT
    assert found[0] == "article-2990"
    require_walk(lines, index_of(None, "-views"))


@pytest.mark.parametrize("sort", ["-published_at", "-views"])
def test_with_several_filters_the_shortest_way_is_taken(articles, sort):
    lines = explain(articles, cursor="", sort=sort, tag="tag-7", author="ada", language="en")
    ways = [index_of(along, sort) for along in FILTERS]
    counted = lines[: next(i for i, line in enumerate(lines) if ways[2] in line) + 1]
    assert any(ways[0] in line for line in lines[len(counted) :]), lines
    assert not any(ways[1] in line for line in lines[len(counted) :]), lines
    for line in lines:
        assert not line.startswith(("SCAN article", "article ALL", "article_tag ALL")), lines


def test_neighbours_of_a_page_are_read_from_the_index_of_their_language(articles):
    session = articles.database.session
    found: list[tuple[str, str]] = []
    lines = plan.explain(
        articles.database.engine,
        lambda: found.extend(neighbours_of(session, "article-1501", ["en", "zh"])),
    )
    assert found == [("previous", "article-1503"), ("next", "article-1499")]
    ways = [line for line in lines if "ix_article_language_published_at" in line]
    assert len(ways) == 2, lines
    for line in lines:
        assert not line.startswith(("SCAN", "article ALL", "article index")), lines
        assert "filesort" not in line, lines
        assert "TEMP B-TREE" not in line, lines
