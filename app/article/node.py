"""What is cached of articles: the answers that everybody gets, ready to be sent.

Drafts are not in here, nor is anything that depends on who asks. What lies ahead is, with its
moment, since whoever reads it looks at the clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import TypeAdapter
from sqlalchemy import func, select, true
from sqlalchemy.orm import Session, lazyload, load_only, undefer_group

from app.article.model import Article, ArticleState, ArticleTag, ArticleViews
from app.article.query import is_published, walks_of
from app.article.schema import MAX_TAGS, ArticleEntry, ArticleOut, ArticleQuery
from app.article.tag import top_tags
from strongback.cache import (
    LOCAL_AND_REDIS,
    CachedPage,
    CachedPages,
    CacheInvalidator,
    DatabaseNode,
    Manager,
)
from strongback.database import Database, utc_now
from strongback.paging import Order, Walk, walk_page
from strongback.schema import PageQuery

PART = 200
"""Names of the most read that are read at once."""
BATCH = 5000
"""Rows that are read at once."""
TOP_TAGS_TTL = timedelta(seconds=30)
COUNTERS = ("likes", "comments", "views", "counted_at")
"""What a list may show a moment late."""

_ARTICLE = TypeAdapter(ArticleOut)


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


class ArticleNode(DatabaseNode[ArticlePage]):
    """An article by its slug, unless it is a draft."""

    storages = LOCAL_AND_REDIS
    prefix = "article"
    version = 2

    @classmethod
    def read(cls, session: Session, keys: Sequence[str]) -> dict[str, ArticlePage]:
        """Read articles as JSON."""
        is_listed = Article.published_at.is_not(None)
        query = select(Article).where(Article.slug.in_(keys), is_listed)
        rows = session.scalars(query.options(undefer_group("content")))
        return {row.slug: _page_of(row) for row in rows}


class ArticlePages:
    """Reads articles and lists as they are answered."""

    def __init__(self, database: Database, cache: Manager) -> None:
        self._database = database
        self._cache = cache
        cache.register_node(ArticleNode)
        self._lists = CachedPages(
            cache, database, "article-list", ArticleEntry, ttl=timedelta(minutes=1)
        )

        @cache.cached(storages=LOCAL_AND_REDIS, ttl=TOP_TAGS_TTL, prefix="top-tags", version=2)
        def most_tags() -> list[tuple[str, int]]:
            with database.latest() as session:
                return top_tags(session, MAX_TAGS)

        self._top_tags = most_tags

    def article(self, slug: str) -> ArticlePage | None:
        """A published article; None if everybody is told that there is none."""
        page = self._cache.get(ArticleNode(slug, self._database))
        return page if page is not None and page.is_public else None

    def published(self, slugs: Iterable[str]) -> set[str]:
        """Those of some slugs that published articles have."""
        query = select(Article.slug).where(Article.slug.in_(slugs), is_published())
        with self._database.latest() as session:
            return set(session.scalars(query))

    def locate(self, slug: str) -> int | None:
        """The number of a published article; None if there is none of this name."""
        page = self.article(slug)
        return page.state.article_id if page else None

    def list(self, wanted: ArticleQuery) -> CachedPage:
        """Return a part of the published articles.

        Raises:
            ValidationFailed: The cursor was not made by this list.
        """
        query = select(Article).where(is_published())
        return self._lists.page(
            group_of(wanted),
            wanted,
            lambda session: walk_page(session, query, walks_of(wanted), wanted),
            until=_next_publication,
        )

    def watch(self, invalidator: CacheInvalidator) -> None:
        """Forget what changes: an article at once, in lists its counters a moment later."""
        invalidator.invalidate_on(Article, lambda article: [ArticleNode(article.slug)])
        invalidator.invalidate_list(Article, self._lists, groups_of, counters=COUNTERS)
        invalidator.invalidate_list(ArticleTag, self._lists, lambda tag: [f"tag:{tag.name}"])
        invalidator.invalidate_on(ArticleViews, lambda _: self._lists.counted_keys())

    def top_tags(self, limit: int) -> Sequence[str]:
        """The tags of most published articles; up to half a minute old."""
        return [name for name, _ in self.counted_tags(limit)]

    def counted_tags(self, limit: int) -> Sequence[tuple[str, int]]:
        """The same, each with the number of its articles."""
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


def _next_publication(session: Session) -> datetime | None:
    ahead = select(func.min(Article.published_at)).where(Article.published_at > utc_now())
    return session.scalar(ahead)


def _page_of(article: Article) -> ArticlePage:
    body = _ARTICLE.dump_json(_ARTICLE.validate_python(article))
    return ArticlePage(body, article.validators)
