"""An article as it is stored."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, Row, String, Text
from sqlalchemy.dialects import mysql
from sqlalchemy.ext.associationproxy import AssociationProxy, association_proxy
from sqlalchemy.orm import Mapped, mapped_column, relationship

from strongback.database import Base, Identified, Identifier, Timestamps, Versioned, utc_now
from strongback.schema import Validators

SLUG_LENGTH = 120
TITLE_LENGTH = 200
BODY_LENGTH = 100_000
SUMMARY_LENGTH = 500
TAG_LENGTH = 40
TAG_COUNT = 20
LANGUAGE_LENGTH = 16
AUTHOR_LENGTH = 32  # of a username
KEPT = ("language", "author")
"""What the indexes of tags carry, so that a second filter is answered from them."""

# MySQL's TEXT ends at 64 KiB, its MEDIUMTEXT at 16 MiB.
LongText = Text().with_variant(mysql.MEDIUMTEXT(), "mysql")


class ArticleTag(Base):
    """One tag of one article, with a copy of what lists are filtered and ordered by.

    The copies let one index find the articles of a tag in each order. `Article.carry` makes them.
    """

    __tablename__ = "article_tag"
    __table_args__ = (
        Index("ix_article_tag_name_published_at", "name", "published_at", "article_id", *KEPT),
        Index(
            "ix_article_tag_name_updated_at",
            *("name", "listed", "updated_at", "article_id", "published_at", *KEPT),
        ),
        Index(
            "ix_article_tag_name_views",
            *("name", "listed", "views", "article_id", "published_at", *KEPT),
        ),
    )

    article_id: Mapped[int] = mapped_column(
        ForeignKey("article.id", ondelete="CASCADE"), primary_key=True
    )
    name: Mapped[str] = mapped_column(String(TAG_LENGTH), primary_key=True)
    language: Mapped[str] = mapped_column(String(LANGUAGE_LENGTH))
    author: Mapped[str] = mapped_column(String(AUTHOR_LENGTH))
    listed: Mapped[bool]
    published_at: Mapped[datetime | None]
    updated_at: Mapped[datetime]
    views: Mapped[int]

    def __init__(self, name: str) -> None:
        self.name = name


class Tag(Base):
    """How many published articles have a tag; see `app.article.tag`."""

    __tablename__ = "tag"

    name: Mapped[str] = mapped_column(String(TAG_LENGTH), primary_key=True)
    articles: Mapped[int] = mapped_column()

    __table_args__ = (Index("ix_tag_articles_name", articles.desc(), name),)


class TagChange(Identified, Base):
    """That a tag has one article more, or less, from a moment on, until it is added up.

    A row of its own for each change: nobody who writes articles waits for another one's count.
    """

    __tablename__ = "tag_change"

    name: Mapped[str] = mapped_column(String(TAG_LENGTH))
    step: Mapped[int]
    due_at: Mapped[datetime] = mapped_column(index=True)
    """When the article is published: that may lie ahead."""


class Article(Identified, Versioned, Timestamps, Base):
    """An article. `html` is made from `body` when it is written, so that reading costs nothing.

    The counters are kept beside the text so that a list needs no joins.
    """

    __tablename__ = "article"
    # Each filter of a list has an index for each order, which ends in the id: a part costs the
    # same wherever it begins. Behind the id there is what else is asked of an entry, so that the
    # index alone tells which articles the part has.
    __table_args__ = (
        Index("ix_article_published_at", "published_at", "id"),
        Index("ix_article_updated_at", "listed", "updated_at", "id", "published_at"),
        Index("ix_article_views", "listed", "views", "id", "published_at"),
        Index("ix_article_language_published_at", "language", "published_at", "id", "author"),
        Index(
            "ix_article_language_updated_at",
            *("language", "listed", "updated_at", "id", "published_at", "author"),
        ),
        Index(
            "ix_article_language_views",
            *("language", "listed", "views", "id", "published_at", "author"),
        ),
        Index("ix_article_author_published_at", "author", "published_at", "id", "language"),
        Index(
            "ix_article_author_updated_at",
            *("author", "listed", "updated_at", "id", "published_at", "language"),
        ),
        Index(
            "ix_article_author_views",
            *("author", "listed", "views", "id", "published_at", "language"),
        ),
    )

    slug: Mapped[str] = mapped_column(String(SLUG_LENGTH), unique=True)
    title: Mapped[str] = mapped_column(String(TITLE_LENGTH))
    summary: Mapped[str] = mapped_column(String(SUMMARY_LENGTH), default="")
    body: Mapped[str] = mapped_column(LongText, deferred=True, deferred_group="content")
    html: Mapped[str] = mapped_column(LongText, deferred=True, deferred_group="content")
    language: Mapped[str] = mapped_column(String(LANGUAGE_LENGTH))
    author: Mapped[str] = mapped_column(ForeignKey("user.username"))
    likes: Mapped[int] = mapped_column(default=0)
    comments: Mapped[int] = mapped_column(default=0)
    views: Mapped[int] = mapped_column(default=0)
    """How often readers have read it, as of a few seconds ago. It is no part of what an article
    shows, since its entity tag would change whenever somebody reads it."""
    published_at: Mapped[datetime | None] = mapped_column(active_history=True)
    """From when on readers see it; none for a draft."""
    listed: Mapped[bool] = mapped_column(default=False)
    """Whether it has such a moment: lists pass over drafts by an index."""
    counted_at: Mapped[datetime | None]
    """When a counter last changed, which is not a change of the article by its author."""

    tag_rows: Mapped[list[ArticleTag]] = relationship(
        cascade="all, delete-orphan", lazy="selectin", order_by=ArticleTag.name
    )
    tags: AssociationProxy[list[str]] = association_proxy("tag_rows", "name")

    def carry(self) -> None:
        """Bring up to date what is derived from other columns, before this is written."""
        self.listed = self.published_at is not None
        for row in self.tag_rows:
            row.language, row.author = self.language, self.author
            row.listed, row.published_at = self.listed, self.published_at
            row.updated_at, row.views = self.updated_at, self.views or 0

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
