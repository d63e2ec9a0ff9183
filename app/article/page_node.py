"""The public pages of articles, as bytes.

Each is made of cached JSON that everybody gets, and kept by what that says: a page follows a change
when the JSON does, at the next request, and no account has a part in it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from typing import Any, Protocol
from urllib.parse import quote

from sqlalchemy import Row, and_, func, or_, select
from sqlalchemy.orm import Session

from app.article.model import Article, ArticleState
from app.article.node import ArticlePage, ArticlePages
from app.article.query import is_published
from app.article.reading import ReadableText, choose, links_in, prepare, slugs_for
from app.article.schema import MAX_TAGS, ArticleQuery
from strongback.cache import LOCAL_AND_REDIS, CachedPage, Manager
from strongback.cache.policy import Policy
from strongback.database import Database
from strongback.schema import PageQuery, utc
from strongback.web.packed import PackedPage, PageCache
from strongback.web.page import PageLanguage, Pages, address_of

AROUND_TTL = timedelta(minutes=1)
"""Time after which a page knows an article that has come between it and its neighbour."""
AUTHORS = 200
TOP_TAGS = 16
"""Tags on the start page."""
MAX_LINKS = 200
"""Relative links of a text that are looked up."""
NEWEST = ArticleQuery.model_fields["sort"].default
COMMENTS = 50
"""Comments on a page."""
SITEMAP_PART = 10_000
"""Ids in one file of the sitemap, which may have 50,000 addresses."""
DEFAULT_LANGUAGE = "en"
ENGLISH = PageLanguage(DEFAULT_LANGUAGE, is_chosen=False)
_NOT_IN_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML has no way to write (XML 1.0, section 2.2)."""
PREVIOUS, NEXT, VERSION = "previous", "next", "version"


class Comments(Protocol):
    """The interface to comments."""

    def list(self, slug: str, wanted: PageQuery) -> CachedPage | None:
        """A part of an article's comments as JSON, oldest first."""
        ...


class ArticleReading:
    """Writes the public pages.

    Args:
        database: Stores the articles.
        cache: Keeps the pages.
        pages: The frame of pages.
        articles: Reads articles and lists as JSON.
    """

    comments: Comments | None = None
    """The comments, if the application has them."""
    avatars: str | None = None
    """Address of the picture of an account, with `{}` for its name, if the application has them."""

    def __init__(
        self,
        database: Database,
        cache: Manager,
        pages: Pages,
        articles: ArticlePages,
    ) -> None:
        self._database = database
        self._cache = cache
        self._pages = pages
        self._articles = articles
        self._packed = PageCache(cache, pages, "page")
        text = Policy.of("text", prefix="article-text", storages=LOCAL_AND_REDIS)
        self._texts = cache.declare(text, ReadableText)
        options: dict[str, Any] = {"storages": LOCAL_AND_REDIS, "ttl": AROUND_TTL}

        @cache.cached(**options, prefix="article-around")
        def around(slug: str) -> list[tuple[str, str]]:
            with database.latest() as session:
                return list(neighbours_of(session, slug, pages.locales))

        @cache.cached(**options, prefix="authors")
        def authors() -> list[tuple[str, int]]:
            count = func.count().label("articles")
            query = select(Article.author, count).where(is_published()).group_by(Article.author)
            with database.latest() as session:
                rows = session.execute(query.order_by(count.desc(), Article.author).limit(AUTHORS))
                return [(name, number) for name, number in rows]

        @cache.cached(**options, prefix="sitemap")
        def sitemap(part: int) -> list[tuple[str, str]]:
            with database.latest() as session:
                return list(_sitemap(session, part))

        @cache.cached(**options, prefix="sitemap-parts")
        def sitemap_parts() -> int:
            with database.latest() as session:
                return (session.scalar(select(func.max(Article.id))) or 0) // SITEMAP_PART + 1

        self._around, self._authors = around, authors
        self._sitemap, self.sitemap_parts = sitemap, sitemap_parts

    # An article

    def article(
        self, slug: str, page: int = 1
    ) -> tuple[PackedPage, PageLanguage, ArticleState] | None:
        """The page of a published article, its language and state; None if there is none.

        Args:
            slug: Slug of the article.
            page: Page of its comments.
        """
        if (article := self._articles.article(slug)) is None:
            return None
        around = self._around(slug)
        # One by one: they are in the cache nearly always, where many at once cost more.
        found = ((name, self._articles.article(name)) for _, name in around)
        others = {name: other for name, other in found if other is not None}
        comments = self._comments_of(slug, article, page)
        known = [
            (role, name, others[name].state.revision) for role, name in around if name in others
        ]
        packed = self._packed.get(
            repr((slug, article.state.etag, known, page)).encode() + comments,
            lambda: self._write_article(article, known, others, comments, page),
        )
        return packed, self._language_of(article.state), article.state

    def _language_of(self, state: ArticleState) -> PageLanguage:
        """The language of an article's page: its own, or English around a text in another one."""
        known = state.language in self._pages.locales
        return PageLanguage(state.language if known else DEFAULT_LANGUAGE)

    def _comments_of(self, slug: str, article: ArticlePage, page: int) -> bytes:
        if self.comments is None or not article.state.comments:
            return b""
        wanted = PageQuery(page=page, page_size=COMMENTS)
        found = self.comments.list(slug, wanted)
        return found.body if found else b""

    def _write_article(
        self,
        article: ArticlePage,
        around: Sequence[tuple[str, str, str]],
        others: dict[str, ArticlePage],
        comments: bytes,
        page: int,
    ) -> str:
        facts = json.loads(article.body)
        shown = {name: json.loads(other.body) for name, other in others.items()}
        versions = {
            shown[name]["language"]: _address(name) for role, name, _ in around if role == VERSION
        }
        language, path = self._language_of(article.state), _address(facts["slug"])
        return self._pages.write(
            "article/article.html",
            language,
            path=path,
            canonical=address_of(path, {"page": page if page > 1 else None}),
            versions={facts["language"]: path, **versions} if versions else {},
            alternates={
                locale: versions.get(locale, address_of("/", {"language": locale}))
                for locale in self._pages.locales
                if locale != language.locale
            },
            article=facts,
            text=self._text_of(article, facts),
            around={role: shown[name] for role, name, _ in around if role != VERSION},
            comments=json.loads(comments) if comments else None,
            page=page,
            avatars=self.avatars,
        )

    def _text_of(self, article: ArticlePage, facts: dict[str, Any]) -> ReadableText:
        key = f"{self._texts.prefix}{article.state.revision}"
        text: ReadableText = self._cache.read_key(self._texts, key, lambda: self._prepare(facts))
        return text

    def _prepare(self, facts: dict[str, Any]) -> ReadableText:
        suffixes = [""] if facts["language"] == DEFAULT_LANGUAGE else [f"-{facts['language']}", ""]
        slug, paths = facts["slug"], links_in(facts["html"])[:MAX_LINKS]
        slugs = {each for path in paths for each in slugs_for(path, slug, suffixes)}
        known = self._articles.published(slugs)
        return prepare(
            facts["html"],
            facts["title"],
            lambda path: (
                _address(found) if (found := choose(path, slug, suffixes, known)) else None
            ),
        )

    # Lists

    def list(self, wanted: ArticleQuery, language: PageLanguage, path: str) -> PackedPage | None:
        """A page of the list of published articles; None if there is nothing of the kind.

        A language without articles is a page all the same: each page leads to all languages.

        Args:
            wanted: Filter, order and page.
            language: Language of the page.
            path: Path of the page: all articles, those of a tag, or those of an author.
        """
        found = self._articles.list(wanted)
        is_known = found.window.total or self._is_known(wanted)
        if wanted.page > max(1, _last_page(found)) or not is_known:
            return None
        tags = self._articles.counted_tags(TOP_TAGS) if path == "/" else []
        strip = self._pages.strip(language.locale, path) if path == "/" else ""
        asked = wanted.model_dump_json(exclude_defaults=True)
        return self._packed.get(
            repr((path, language, asked, tags, strip)).encode() + found.body,
            lambda: self._write_list(wanted, language, path, found, tags_of_all=tags, strip=strip),
        )

    def _is_known(self, wanted: ArticleQuery) -> bool:
        """Whether the tag or the author has articles in any language."""
        if not wanted.tag and not wanted.author:
            return True
        anywhere = wanted.model_copy(update={"language": None, "page": 1})
        return wanted.language is not None and bool(self._articles.list(anywhere).window.total)

    def _write_list(
        self,
        wanted: ArticleQuery,
        language: PageLanguage,
        path: str,
        found: CachedPage,
        **values: object,
    ) -> str:
        query = {"sort": wanted.sort if wanted.sort != NEWEST else None}
        chosen = {"language": wanted.language, **query}
        return self._pages.write(
            "article/list.html",
            language,
            path=path,
            canonical=address_of(
                path, {**chosen, "page": wanted.page if wanted.page > 1 else None}
            ),
            versions=self._versions(path) if wanted.page == 1 and not query["sort"] else {},
            alternates=self._alternates(path, language),
            wanted=wanted,
            articles=json.loads(found.body)["items"],
            query=query,
            page=wanted.page,
            last=_last_page(found),
            total=found.window.total,
            avatars=self.avatars,
            **values,
        )

    def tags(self, language: PageLanguage) -> PackedPage:
        """The page of all tags."""
        tags = list(self._articles.counted_tags(MAX_TAGS))
        return self._index("article/tags.html", language, "/tags", tags)

    def authors(self, language: PageLanguage) -> PackedPage:
        """The page of all authors."""
        return self._index("article/authors.html", language, "/authors", self._authors())

    def _index(
        self, template: str, language: PageLanguage, path: str, counted: Sequence[tuple[str, int]]
    ) -> PackedPage:
        return self._packed.get(
            repr((path, language, counted)).encode(),
            lambda: self._pages.write(
                template,
                language,
                path=path,
                canonical=address_of(
                    path, {"language": language.locale if language.is_chosen else None}
                ),
                versions=self._versions(path),
                alternates=self._alternates(path, language),
                counted=counted,
            ),
        )

    def _versions(self, path: str) -> dict[str, str]:
        addresses = {each: address_of(path, {"language": each}) for each in self._pages.locales}
        return {**addresses, "x-default": path}

    def _alternates(self, path: str, language: PageLanguage) -> dict[str, str]:
        return {
            each: address_of(path, {"language": each})
            for each in self._pages.locales
            if each != language.locale
        }

    # For programs

    def feed(self, wanted: ArticleQuery, language: PageLanguage) -> PackedPage:
        """An Atom feed of the latest articles (RFC 4287)."""
        found = self._articles.list(wanted)
        query = wanted.model_dump(exclude_defaults=True)
        return self._packed.get(
            repr(("/feed.xml", language, query)).encode() + found.body,
            lambda: _NOT_IN_XML.sub(
                "\N{REPLACEMENT CHARACTER}",
                self._pages.write(
                    "article/feed.xml",
                    language,
                    path="/feed.xml",
                    alternates={},
                    articles=json.loads(found.body)["items"],
                    query=query,
                ),
            ),
        )

    def sitemap(self, part: int) -> PackedPage:
        """A part of the sitemap."""
        entries = self._sitemap(part)
        return self._packed.get(
            repr(("/sitemap", part, entries)).encode(),
            lambda: self._pages.write(
                "article/sitemap.xml", ENGLISH, path="", alternates={}, entries=entries
            ),
        )

    def sitemap_index(self) -> PackedPage:
        """The parts of the sitemap."""
        count = self.sitemap_parts()
        return self._packed.get(
            repr(("/sitemap.xml", count)).encode(),
            lambda: self._pages.write(
                "article/sitemap_index.xml", ENGLISH, path="", alternates={}, count=count
            ),
        )


def _last_page(found: CachedPage) -> int:
    return -(-(found.window.total or 0) // found.window.page_size)


def _address(slug: str) -> str:
    return f"/articles/{quote(slug)}"


def _sitemap(session: Session, part: int) -> Iterator[tuple[str, str]]:
    first = part * SITEMAP_PART
    query = select(Article.slug, Article.updated_at).where(
        Article.id >= first, Article.id < first + SITEMAP_PART, is_published()
    )
    for slug, updated_at in session.execute(query.order_by(Article.id)):
        yield slug, f"{utc(updated_at):%Y-%m-%d}"


def neighbours_of(session: Session, slug: str, locales: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Older and newer neighbour in the same language, and versions in other languages."""
    columns = (Article.id, Article.slug, Article.language, Article.author, Article.published_at)
    row = session.execute(select(*columns).where(Article.slug == slug, is_published())).first()
    if row is None:
        return
    same = (Article.language == row.language, is_published())
    key, tie = Article.published_at, Article.id
    # The first condition is a range of the index, the second one sorts out those of one moment.
    older = select(Article.slug).where(
        *same, key <= row.published_at, or_(key < row.published_at, tie < row.id)
    )
    newer = select(Article.slug).where(
        *same, key >= row.published_at, or_(key > row.published_at, tie > row.id)
    )
    for role, query, order in (
        (PREVIOUS, older, (key.desc(), tie.desc())),
        (NEXT, newer, (key.asc(), tie.asc())),
    ):
        if found := session.scalar(query.order_by(*order).limit(1)):
            yield role, found
    yield from ((VERSION, each) for each in _versions_of(session, row, locales))


def _versions_of(
    session: Session, row: Row[*tuple[Any, ...]], locales: Iterable[str]
) -> Sequence[str]:
    """Slugs of the same text in other languages: the importer appends all but English to a slug."""
    own = "" if row.language == DEFAULT_LANGUAGE else f"-{row.language.lower()}"
    if not row.slug.endswith(own):
        return []
    base = row.slug.removesuffix(own)
    slugs = {each: base if each == DEFAULT_LANGUAGE else f"{base}-{each}" for each in locales}
    slugs.pop(row.language, None)
    pairs = [and_(Article.slug == slug, Article.language == each) for each, slug in slugs.items()]
    query = select(Article.slug).where(or_(*pairs), Article.author == row.author, is_published())
    return session.scalars(query.order_by(Article.language)).all() if pairs else []
