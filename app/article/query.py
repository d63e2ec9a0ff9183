"""Which articles a caller sees, and in which order."""

from __future__ import annotations

from sqlalchemy import ColumnElement, or_, select, true

from app.article.model import Article, ArticleTag
from app.article.schema import ArticleQuery
from app.core.auth.permission import Permission
from app.core.auth.principal import Principal
from app.core.database import utc_now
from app.core.paging import Order

ORDERS = {
    "published_at": Order(Article.published_at, Article.id, descending=False),
    "-published_at": Order(Article.published_at, Article.id),
    "updated_at": Order(Article.updated_at, Article.id, descending=False),
    "-updated_at": Order(Article.updated_at, Article.id),
    "-views": Order(Article.views, Article.id),
}


def is_published() -> ColumnElement[bool]:
    """The condition for what readers see: published, and not in the future."""
    return Article.published_at <= utc_now()


def is_visible(by: Principal | None) -> ColumnElement[bool]:
    """The condition for what this caller may read: drafts are for their author and managers."""
    if by is None:
        return is_published()
    if by.may(Permission.ARTICLE_MANAGE):
        return true()
    return or_(is_published(), Article.author == by.username)


def filters_of(wanted: ArticleQuery) -> list[ColumnElement[bool]]:
    """The conditions of a list's filters."""
    filters: list[ColumnElement[bool]] = []
    if wanted.author is not None:
        filters.append(Article.author == wanted.author)
    if wanted.language is not None:
        filters.append(Article.language == wanted.language)
    if wanted.tag is not None:
        tagged = select(ArticleTag.article_id).where(ArticleTag.name == wanted.tag)
        filters.append(Article.id.in_(tagged))
    return filters
