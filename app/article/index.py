"""Articles as they are searched: what of them, and how they get into the index."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

from sqlalchemy import Row, Select, func, select

from app.article.model import Article, ArticleTag
from app.article.query import is_published
from app.article.search_schema import SearchQuery
from strongback.database import Database
from strongback.search import (
    Attribute,
    Document,
    Index,
    Key,
    Kind,
    Query,
    Result,
    Search,
    Suggestion,
    parse_filter,
    parse_sort,
)
from strongback.text import plain_text

STAMPS_AT_ONCE = 5_000
SUGGESTIONS = 8
STOP_WORDS = """
a an and are as at be by can do for from how i in is it my of on or that the this to was what when
which who why will with you your
的 了 和 是 在 与 及 或 吗 呢 如何 怎么
"""

ARTICLE = Index(
    "article",
    key="id",
    attributes=(
        Attribute("id", Kind.INTEGER),
        Attribute("slug"),
        Attribute("title", weight=10),
        Attribute("tags", weight=5, multi_valued=True, facet=True, alias="tag"),
        Attribute("summary", weight=3),
        Attribute("body", weight=1, shown=False),
        Attribute("language", facet=True),
        Attribute("author", filterable=True),
        Attribute("published_at", Kind.DATETIME, filterable=True, sortable=True),
        Attribute("updated_at", Kind.DATETIME, filterable=True, sortable=True),
        Attribute("version", Kind.INTEGER),
    ),
    suggests="title",
    version="version",
    ranking=("-published_at",),
    # Both ways, since each is declared for the other.
    synonyms={
        "db": ("database", "数据库"),
        "js": ("javascript",),
        "javascript": ("js",),
        "ws": ("websocket",),
        "auth": ("authentication", "认证"),
        "config": ("configuration", "settings", "配置"),
        "docs": ("documentation", "文档"),
        "k8s": ("kubernetes",),
        "kubernetes": ("k8s",),
    },
    stop_words=frozenset(STOP_WORDS.split()),
)


class ArticleSearch:
    """Finds published articles."""

    def __init__(self, search: Search) -> None:
        self._search = search

    def find(self, wanted: SearchQuery) -> Result:
        """Find articles.

        Raises:
            BadFilter: The filter is invalid.
            BadSort: The sort key is invalid.
            SearchUnavailable: The engine is unavailable.
        """
        query = Query(
            text=wanted.q,
            filter=parse_filter(ARTICLE, wanted.filter),
            sort=parse_sort(ARTICLE, wanted.sort),
            page=wanted.page,
            page_size=wanted.page_size,
            highlight=wanted.highlighted,
            facets=tuple(attribute.name for attribute in ARTICLE.facets),
        )
        return self._search.find(ARTICLE, query)

    def suggest(self, text: str) -> list[Suggestion]:
        """Find titles for incomplete input.

        Raises:
            SearchUnavailable: The engine is unavailable.
        """
        return self._search.suggest(ARTICLE, text, SUGGESTIONS) if text.strip() else []


class ArticleSource:
    """Reads from the database what the index is to have: what readers see, and nothing else."""

    index = ARTICLE

    def __init__(self, database: Database) -> None:
        self._database = database

    def count(self) -> int:
        """The number of published articles."""
        with self._database.scope():
            query = select(func.count()).select_from(Article).where(is_published())
            return self._database.session.scalar(query) or 0

    def batches(self, size: int) -> Iterator[Sequence[Document]]:
        """Read all published articles, by id."""
        last = 0
        while batch := self._read(_texts().where(Article.id > last).limit(size)):
            yield batch
            last = batch[-1]["id"]

    def stamps(self) -> Iterator[tuple[int, int]]:
        """Ids and versions of all published articles."""
        last = 0
        query = select(Article.id, Article.version).where(is_published()).order_by(Article.id)
        while rows := self._rows(query.where(Article.id > last).limit(STAMPS_AT_ONCE)):
            yield from ((row.id, row.version) for row in rows)
            last = rows[-1].id

    def read(self, keys: Sequence[Key]) -> list[Document]:
        """Read articles by id, if published."""
        return self._read(_texts().where(Article.id.in_(keys)))

    def _read(self, query: Select[*tuple[Any, ...]]) -> list[Document]:
        rows = self._rows(query)
        tags = self._tags([row.id for row in rows])
        return [_document(row, tags.get(row.id, [])) for row in rows]

    def _tags(self, numbers: Iterable[int]) -> dict[int, list[str]]:
        key, name = ArticleTag.article_id, ArticleTag.name
        rows = self._rows(select(key, name).where(key.in_(numbers)).order_by(key, name))
        return {number: [row[1] for row in same] for number, same in groupby(rows, itemgetter(0))}

    def _rows(self, query: Select[*tuple[Any, ...]]) -> Sequence[Row[*tuple[Any, ...]]]:
        # A scope for each read: a long build must not hold one transaction for all of it.
        with self._database.scope():
            return self._database.session.execute(query).all()


def _texts() -> Select[*tuple[Any, ...]]:
    return (
        select(
            Article.id,
            Article.slug,
            Article.title,
            Article.summary,
            Article.html,
            Article.language,
            Article.author,
            Article.published_at,
            Article.updated_at,
            Article.version,
        )
        .where(is_published())
        .order_by(Article.id)
    )


def _document(row: Row[*tuple[Any, ...]], tags: list[str]) -> Document:
    document = row._asdict()
    return document | {"body": plain_text(document.pop("html")), "tags": tags}
