"""Visibility and order of articles."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Subquery, exists, or_, true

from app.article.model import Article, ArticleTag
from app.article.schema import ArticleQuery
from app.core.permission import Permission
from strongback.auth.principal import Principal
from strongback.database import utc_now
from strongback.paging import Order, Walk

COLUMNS = {"tag": "name", "author": "author", "language": "language"}
"""Columns of filters."""


INDEXES = {
    None: "ix_article",
    "tag": "ix_article_tag_name",
    "author": "ix_article_author",
    "language": "ix_article_language",
}
"""Prefixes of the indexes of filters; the order is appended."""


def is_published() -> ColumnElement[bool]:
    """Condition of articles that are published, and not in the future."""
    return Article.published_at <= utc_now()


def is_visible(by: Principal | None) -> ColumnElement[bool]:
    """Condition of articles that a caller may read: drafts are for their author and managers."""
    if by is None:
        return is_published()
    if by.may(Permission.ARTICLE_MANAGE):
        return true()
    return or_(is_published(), Article.author == by.username)


def walks_of(wanted: ArticleQuery) -> list[Walk]:
    """The scans of a list of articles: along each filter, or along the whole list."""
    filters = [name for name in ("tag", "author", "language") if getattr(wanted, name) is not None]
    return [_walk(wanted, filters, along) for along in filters] or [_walk(wanted, [], None)]


def _walk(wanted: ArticleQuery, filters: Sequence[str], along: str | None) -> Walk:
    model: type[Article | ArticleTag] = ArticleTag if along == "tag" else Article
    key = wanted.sort.removeprefix("-")
    order = Order(
        getattr(model, key),
        ArticleTag.article_id if along == "tag" else Article.id,
        descending=wanted.sort.startswith("-"),
    )
    now = utc_now()
    where = [] if along is None else [getattr(model, COLUMNS[along]) == getattr(wanted, along)]
    others = [other for other in filters if other != along]
    carried = [getattr(model, other) for other in others if other != "tag"]
    # What is published is a range of the index by moment; the others know only what is no draft.
    is_by_moment = key == "published_at"
    if not is_by_moment:
        where.append(model.listed == true())
        carried.append(model.published_at)

    def sift(seen: Subquery) -> Iterator[ColumnElement[bool]]:
        if not is_by_moment:
            yield seen.c.published_at <= now
        for other in others:
            value = getattr(wanted, other)
            yield _is_tagged(seen.c.tie, value) if other == "tag" else seen.c[other] == value

    return Walk(
        order,
        where,
        upto=now if is_by_moment else None,
        carried=carried,
        sift=sift if others or not is_by_moment else None,
        index=f"{INDEXES[along]}_{key}",
    )


def _is_tagged(number: ColumnElement[Any], tag: str) -> ColumnElement[bool]:
    return exists().where(ArticleTag.article_id == number, ArticleTag.name == tag)
