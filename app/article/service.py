"""Rules of articles."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import undefer_group

from app.article.exceptions import ArticleNotFound
from app.article.markdown import render
from app.article.model import SUMMARY_LENGTH, TITLE_LENGTH, Article, ArticleTag, validators_of
from app.article.schema import ArticleQuery
from app.core.database import Database, transactional, utc_now
from app.core.paging import Order, Window, read_page
from app.core.schema import Validators
from app.util.text import shorten

ORDERS = {
    "published_at": Order(Article.published_at, Article.id, descending=False),
    "-published_at": Order(Article.published_at, Article.id),
    "updated_at": Order(Article.updated_at, Article.id, descending=False),
    "-updated_at": Order(Article.updated_at, Article.id),
}


@dataclass(frozen=True, slots=True)
class Draft:
    """What an author says of an article; what is None is taken from the text."""

    slug: str
    body: str
    language: str
    author: str
    title: str | None = None
    summary: str | None = None
    tags: tuple[str, ...] = ()
    published_at: datetime | None = None


class Accounts(Protocol):
    """What articles need to know of accounts; `main` says who knows it."""

    def exists(self, username: str) -> bool:
        """Whether an account has this name."""
        ...

    def ensure_system_account(self, username: str) -> None:
        """Make an author that nobody can sign in as, unless the name is there already."""
        ...


class ArticleService:
    """Reads and writes articles."""

    def __init__(self, database: Database, accounts: Accounts) -> None:
        self.database = database
        self.accounts = accounts

    def validators(self, slug: str) -> Validators | None:
        """A published article's validators, read without its text; None if there is none."""
        columns = select(
            Article.id, Article.version, Article.likes, Article.comments, Article.updated_at
        )
        row = self.database.session.execute(
            columns.where(Article.slug == slug, is_published())
        ).one_or_none()
        return validators_of(*row) if row else None

    def get(self, slug: str) -> Article:
        """A published article with its text.

        Raises:
            ArticleNotFound: There is none with this slug.
        """
        query = select(Article).where(Article.slug == slug, is_published())
        article = self.database.session.scalar(query.options(undefer_group("content")))
        if article is None:
            raise ArticleNotFound
        return article

    def locate(self, slug: str) -> int:
        """The number of a published article.

        Raises:
            ArticleNotFound: There is none with this slug.
        """
        query = select(Article.id).where(Article.slug == slug, is_published())
        number = self.database.session.scalar(query)
        if number is None:
            raise ArticleNotFound
        return number

    def list(self, wanted: ArticleQuery) -> Window[Article]:
        """A part of the published articles, without their texts."""
        query = select(Article).where(is_published(), *_filters(wanted))
        return read_page(self.database.session, query, ORDERS[wanted.sort], wanted)

    def find_by_slug(self, slug: str) -> Article | None:
        """An article with its text, published or not."""
        query = select(Article).where(Article.slug == slug)
        return self.database.session.scalar(query.options(undefer_group("content")))

    @transactional
    def put(self, draft: Draft) -> Article:
        """Create the article, or bring the one with this slug up to the draft."""
        article = self.find_by_slug(draft.slug)
        if article is None:
            article = Article(slug=draft.slug, author=draft.author, published_at=utc_now())
            self.database.session.add(article)
        if draft.published_at is not None:
            article.published_at = draft.published_at
        rendered = render(draft.body)
        article.body, article.html = draft.body, rendered.html
        article.language = draft.language
        article.title = draft.title or shorten(rendered.title or draft.slug, TITLE_LENGTH)
        article.summary = draft.summary or shorten(rendered.summary, SUMMARY_LENGTH)
        if sorted(article.tags) != sorted(draft.tags):
            article.tags = sorted(draft.tags)
            article.updated_at = utc_now()  # tags are rows of their own: nothing else would tell
        self.database.session.flush()
        return article


def is_published() -> ColumnElement[bool]:
    """The condition for what readers see: published, and not in the future."""
    return Article.published_at <= utc_now()


def _filters(wanted: ArticleQuery) -> list[ColumnElement[bool]]:
    filters: list[ColumnElement[bool]] = []
    if wanted.author is not None:
        filters.append(Article.author == wanted.author)
    if wanted.language is not None:
        filters.append(Article.language == wanted.language)
    if wanted.tag is not None:
        tagged = select(ArticleTag.article_id).where(ArticleTag.name == wanted.tag)
        filters.append(Article.id.in_(tagged))
    return filters
