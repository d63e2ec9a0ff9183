"""An article as it is stored."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, Row, String, Text
from sqlalchemy.dialects import mysql
from sqlalchemy.ext.associationproxy import AssociationProxy, association_proxy
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.core.database import Base, Identified, Identifier, Timestamps, Versioned, utc_now
from app.core.schema import Validators

SLUG_LENGTH = 120
TITLE_LENGTH = 200
BODY_LENGTH = 100_000
SUMMARY_LENGTH = 500
TAG_LENGTH = 40
TAG_COUNT = 20
LANGUAGE_LENGTH = 16

# MySQL's TEXT ends at 64 KiB, its MEDIUMTEXT at 16 MiB.
LongText = Text().with_variant(mysql.MEDIUMTEXT(), "mysql")


class ArticleTag(Base):
    """One tag of one article."""

    __tablename__ = "article_tag"
    __table_args__ = (Index(None, "name", "article_id"),)

    article_id: Mapped[int] = mapped_column(
        ForeignKey("article.id", ondelete="CASCADE"), primary_key=True
    )
    name: Mapped[str] = mapped_column(String(TAG_LENGTH), primary_key=True)

    def __init__(self, name: str) -> None:
        self.name = name


class Article(Identified, Versioned, Timestamps, Base):
    """An article. `html` is made from `body` when it is written, so that reading costs nothing.

    The counters are kept beside the text so that a list needs no joins.
    """

    __tablename__ = "article"
    # Each order of a list has an index that ends in the id: a cursor stays fast at any depth.
    __table_args__ = (
        Index(None, "published_at", "id"),
        Index(None, "updated_at", "id"),
        Index(None, "views", "id"),
    )

    slug: Mapped[str] = mapped_column(String(SLUG_LENGTH), unique=True)
    title: Mapped[str] = mapped_column(String(TITLE_LENGTH))
    summary: Mapped[str] = mapped_column(String(SUMMARY_LENGTH), default="")
    body: Mapped[str] = mapped_column(LongText, deferred=True, deferred_group="content")
    html: Mapped[str] = mapped_column(LongText, deferred=True, deferred_group="content")
    language: Mapped[str] = mapped_column(String(LANGUAGE_LENGTH), index=True)
    author: Mapped[str] = mapped_column(ForeignKey("user.username"), index=True)
    likes: Mapped[int] = mapped_column(default=0)
    comments: Mapped[int] = mapped_column(default=0)
    views: Mapped[int] = mapped_column(default=0, server_default="0")
    """How often readers have read it, as of a few seconds ago. It is no part of what an article
    shows, since its entity tag would change whenever somebody reads it."""
    published_at: Mapped[datetime | None]
    """From when on readers see it; none for a draft."""
    counted_at: Mapped[datetime | None]
    """When a counter last changed, which is not a change of the article by its author."""

    tag_rows: Mapped[list[ArticleTag]] = relationship(
        cascade="all, delete-orphan", lazy="selectin", order_by=ArticleTag.name
    )
    tags: AssociationProxy[list[str]] = association_proxy("tag_rows", "name")

    @property
    def validators(self) -> ArticleState:
        """What tells this state from another."""
        return state_of(self)

    @property
    def revision(self) -> str:
        """What a write depends on: the beginning of the tag, without the counters."""
        return f"{self.id}-{self.version}"


class ArticleLike(Base):
    """That an account likes an article."""

    __tablename__ = "article_like"

    article_id: Mapped[int] = mapped_column(
        ForeignKey("article.id", ondelete="CASCADE"), primary_key=True
    )
    username: Mapped[str] = mapped_column(ForeignKey("user.username"), primary_key=True, index=True)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class ArticleViews(Identified, Base):
    """How often an article was read through one process in a few seconds, until it is added up.

    It refers to the article by nothing that the database checks: writing it locks no article.
    """

    __tablename__ = "article_view"

    article_id: Mapped[int] = mapped_column(Identifier)
    count: Mapped[int]


@dataclass(frozen=True, slots=True)
class ArticleState(Validators):
    """What tells one state of an article from another, and what its reader has read."""

    article_id: int
    published_at: datetime | None


def state_of(state: Article | Row[*tuple[Any, ...]]) -> ArticleState:
    """What tells one state of an article from another: everything that is shown counts.

    Args:
        state: An article, or the columns of one that its validators are made of.
    """
    modified = max(state.updated_at, state.counted_at or state.updated_at)
    etag = f"{state.id}-{state.version}-{state.likes}-{state.comments}"
    return ArticleState(etag, modified, state.id, state.published_at)
