"""What is cached of articles: the answers that everybody gets, ready to be sent.

Drafts are not in here, nor is anything that depends on who asks. What lies ahead is, with its
moment, since whoever reads it looks at the clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import func, select, true
from sqlalchemy.orm import lazyload, load_only, undefer_group

from app.article.model import Article, ArticleState, ArticleTag, ArticleViews
from app.article.query import is_published, walks_of
from app.article.schema import MAX_TAGS, ArticleEntry, ArticleOut, ArticleQuery
from app.article.tag import top_tags
from strongback.cache import CachedList, CacheInvalidator, Manager, Node, StorageOptions
from strongback.database import Database, utc_now
from strongback.paging import Order, Walk, Window, walk_page
from strongback.schema import Page, PageQuery

# The near storage is short: that is what one process may miss while it hears nothing of others.
NEAR: StorageOptions = {"storage": "local", "ttl": timedelta(seconds=2)}
STORAGES: Sequence[str | StorageOptions] = [NEAR, "redis"]
PART = 200
"""Names of the most read that are read at once."""
BATCH = 5000
"""Rows that are read at once."""
TOP_TAGS_TTL = timedelta(seconds=30)
COUNTERS = ("likes", "comments", "views", "counted_at")
"""What a list may show a moment late."""

_ARTICLE = TypeAdapter(ArticleOut)
_PAGE: TypeAdapter[Page[ArticleEntry]] = TypeAdapter(Page[ArticleEntry])


@dataclass(frozen=True, slots=True)
class ArticlePage:
    """An article as it is answered."""

    body: bytes
    """JSON."""
    state: ArticleState
    """What tells it from another state, and from when on readers see it."""

    @property
    def is_public(self) -> bool:
        """Whether everybody may read it by now."""
        moment = self.state.published_at
        return moment is not None and moment <= utc_now()


@dataclass(frozen=True, slots=True)
class ListPage:
    """A part of a list as it is answered."""

    body: bytes
    """JSON."""
    page_size: int
    page: int | None
    total: int | None
    next_cursor: str | None
    total_is_bounded: bool
    until: datetime | None
    """When the next article comes out, and this is no longer the list."""

    @property
    def window(self) -> Window[Any]:
        """Which part it is."""
        return Window(
            (), self.page_size, self.page, self.total, self.next_cursor, self.total_is_bounded
        )


class ArticleNode(Node[ArticlePage]):
    """An article by its name in addresses, unless it is a draft."""

    storages = STORAGES
    prefix = "article"

    def __init__(self, slug: str, database: Database | None = None) -> None:
        self.slug = slug
        self.database = database

    def key(self) -> str:
        """Its name."""
        return self.slug

    def load(self) -> ArticlePage | None:
        """Read it, and write the answer."""
        (page,) = self.load_all([self])
        return page

    @classmethod
    def load_all(cls, nodes: Sequence[ArticleNode]) -> list[ArticlePage | None]:
        """Read several by one query."""
        database = nodes[0].database
        assert database is not None  # noqa: S101  nodes without one are for removing
        query = select(Article).where(
            Article.slug.in_([node.slug for node in nodes]), Article.published_at.is_not(None)
        )
        with database.latest() as session:
            rows = session.scalars(query.options(undefer_group("content"))).all()
            pages = {row.slug: _page_of(row) for row in rows}
        return [pages.get(node.slug) for node in nodes]


class ArticlePages:
    """Reads articles and lists as they are answered."""

    def __init__(self, database: Database, cache: Manager) -> None:
        self._database = database
        self._cache = cache
        cache.register_node(ArticleNode)
        self._lists = CachedList(
            cache, "article-list", ListPage, storages=STORAGES, ttl=timedelta(minutes=1)
        )

        @cache.cached(storages=STORAGES, ttl=TOP_TAGS_TTL, prefix="top-tags")
        def most_tags() -> list[str]:
            with database.latest() as session:
                return top_tags(session, MAX_TAGS)

        self._top_tags = most_tags

    def article(self, slug: str) -> ArticlePage | None:
        """A published article; None if everybody is told that there is none."""
        page = self._cache.get(ArticleNode(slug, self._database))
        return page if page is not None and page.is_public else None

    def locate(self, slug: str) -> int | None:
        """The number of a published article; None if there is none of this name."""
        page = self.article(slug)
        return page.state.article_id if page else None

    def list(self, wanted: ArticleQuery) -> ListPage:
        """A part of the published articles.

        Raises:
            ValidationFailed: The cursor was not made by this list.
        """
        group, key = group_of(wanted), wanted.model_dump_json(exclude_defaults=True)
        page = self._lists.get(group, key, lambda: self._load_list(wanted))
        if page.until is not None and page.until <= utc_now():
            page = self._lists.get(group, key, lambda: self._load_list(wanted), anew=True)
        return page

    def _load_list(self, wanted: ArticleQuery) -> ListPage:
        ahead = select(func.min(Article.published_at)).where(Article.published_at > utc_now())
        query = select(Article).where(is_published())
        with self._database.latest() as session:
            # First when it ends: what comes out meanwhile is in it, or it ends at once.
            until = session.scalar(ahead)
            window = walk_page(session, query, walks_of(wanted), wanted)
            body = _PAGE.dump_json(_PAGE.validate_python(window))
        return ListPage(
            body,
            window.page_size,
            window.page,
            window.total,
            window.next_cursor,
            window.total_is_bounded,
            until,
        )

    def watch(self, invalidator: CacheInvalidator) -> None:
        """Forget what changes: an article at once, in lists its counters a moment later."""
        invalidator.invalidate_on(Article, lambda article: [ArticleNode(article.slug)])
        invalidator.invalidate_list(Article, self._lists, groups_of, counters=COUNTERS)
        invalidator.invalidate_list(ArticleTag, self._lists, lambda tag: [f"tag:{tag.name}"])
        invalidator.invalidate_on(ArticleViews, lambda _: self._lists.counted())

    def top_tags(self, limit: int) -> Sequence[str]:
        """The tags of most published articles; up to half a minute old."""
        return self._top_tags()[:limit]

    def count(self) -> int:
        """How many articles have a moment from which readers see them."""
        query = select(func.count()).where(Article.published_at.is_not(None))
        with self._database.latest() as session:
            return session.scalar(query) or 0

    def slugs(self) -> Iterator[str]:
        """Their names, the ones that are read most first."""
        query = select(Article).options(load_only(Article.slug), lazyload("*"))
        order, is_listed = Order(Article.views, Article.id), Article.listed == true()
        walk = Walk(order, [is_listed], index="ix_article_views")
        cursor: str | None = ""
        while cursor is not None:
            wanted = PageQuery.model_construct(cursor=cursor, page_size=PART)
            with self._database.latest() as session:
                part = walk_page(session, query, [walk], wanted)
            yield from (article.slug for article in part.items)
            cursor = part.next_cursor

    def all_slugs(self) -> Iterator[str]:
        """The names of all articles, drafts among them."""
        with self._database.latest() as session:
            yield from session.scalars(select(Article.slug).execution_options(yield_per=BATCH))

    def warm(self, slugs: Iterable[str]) -> int:
        """Load articles that are not in the cache; returns how many are public."""
        found = self._cache.get_all([ArticleNode(slug, self._database) for slug in slugs])
        return sum(page is not None and page.is_public for page in found)


def group_of(wanted: ArticleQuery) -> str:
    """The group of a list: of its filters the one that fewest articles pass."""
    if wanted.tag is not None:
        return f"tag:{wanted.tag}"
    if wanted.author is not None:
        return f"author:{wanted.author}"
    return "" if wanted.language is None else f"language:{wanted.language}"


def groups_of(article: Article) -> list[str]:
    """The groups of lists that an article is in; a draft is in none."""
    if article.published_at is None:
        return []
    filters = ["", f"author:{article.author}", f"language:{article.language}"]
    return [*filters, *(f"tag:{tag}" for tag in article.tags)]


def _page_of(article: Article) -> ArticlePage:
    body = _ARTICLE.dump_json(_ARTICLE.validate_python(article))
    return ArticlePage(body, article.validators)
