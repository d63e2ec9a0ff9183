"""Tables of articles."""

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
FILE_LENGTH = 32  # of the id of a file
KEPT = ("language", "author")
"""Columns that the indexes of tags carry for further filters."""

# MySQL's TEXT ends at 64 KiB, its MEDIUMTEXT at 16 MiB.
LongText = Text().with_variant(mysql.MEDIUMTEXT(), "mysql")


class ArticleTag(Base):
    """A tag of an article, with copies of the columns by which lists are filtered and ordered.

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
    """Number of published articles with a tag; see `app.article.tag`."""

    __tablename__ = "tag"

    name: Mapped[str] = mapped_column(String(TAG_LENGTH), primary_key=True)
    articles: Mapped[int] = mapped_column()

    __table_args__ = (Index("ix_tag_articles_name", articles.desc(), name),)


class TagChange(Identified, Base):
    """A change of a tag's number of articles, until it is added up.

    Each change is a row of its own, so that writers do not wait for each other.
    """

    __tablename__ = "tag_change"

    name: Mapped[str] = mapped_column(String(TAG_LENGTH))
    step: Mapped[int]
    due_at: Mapped[datetime] = mapped_column(index=True)
    """Publication date of the article, perhaps in the future."""


class ArticleImage(Base):
    """An image that an article shows: a file."""

    __tablename__ = "article_image"

    article_id: Mapped[int] = mapped_column(
        ForeignKey("article.id", ondelete="CASCADE"), primary_key=True
    )
    file: Mapped[str] = mapped_column(String(FILE_LENGTH), primary_key=True, index=True)

    def __init__(self, file: str) -> None:
        self.file = file


class Article(Identified, Versioned, Timestamps, Base):
    """An article. `html` is rendered from `body` when it is written.

    The counters are columns, so that lists need no joins.
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
    """Number of views, a few seconds old. Not part of a single article's representation, since each
    view would change its entity tag."""
    published_at: Mapped[datetime | None] = mapped_column(active_history=True)
    """Publication date; None for a draft."""
    listed: Mapped[bool] = mapped_column(default=False)
    """Whether it has a publication date, for the indexes of lists."""
    counted_at: Mapped[datetime | None]
    """Time of the last change of a counter, which is no change by the author."""

    tag_rows: Mapped[list[ArticleTag]] = relationship(
        cascade="all, delete-orphan", lazy="selectin", order_by=ArticleTag.name
    )
    image_rows: Mapped[list[ArticleImage]] = relationship(
        cascade="all, delete-orphan", passive_deletes=True, order_by=ArticleImage.file
    )
    images: AssociationProxy[list[str]] = association_proxy("image_rows", "file")
    tags: AssociationProxy[list[str]] = association_proxy("tag_rows", "name")

    def carry(self) -> None:
        """Update derived columns before they are written."""
        self.listed = self.published_at is not None
        for row in self.tag_rows:
            row.language, row.author = self.language, self.author
            row.listed, row.published_at = self.listed, self.published_at
            row.updated_at, row.views = self.updated_at, self.views or 0

    @property
    def validators(self) -> ArticleState:
        """Validators of the current state."""
        return state_of(self)

    @property
    def revision(self) -> str:
        """The part of the entity tag that writes depend on, without the counters."""
        return f"{self.id}-{self.version}"


class ArticleLike(Base):
    """A like of an article by an account."""

    __tablename__ = "article_like"

    article_id: Mapped[int] = mapped_column(
        ForeignKey("article.id", ondelete="CASCADE"), primary_key=True
    )
    username: Mapped[str] = mapped_column(ForeignKey("user.username"), primary_key=True, index=True)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class ArticleViews(Identified, Base):
    """Views of an article in one process, until they are added up.

    There is no foreign key, so that writing it locks no article.
    """

    __tablename__ = "article_view"

    article_id: Mapped[int] = mapped_column(Identifier)
    count: Mapped[int]


@dataclass(frozen=True, slots=True)
class ArticleState(Validators):
    """Validators of an article."""

    article_id: int
    published_at: datetime | None
    revision: str = ""
    """The part of the entity tag without the counters."""
    comments: int = 0
    language: str = ""


def state_of(state: Article | Row[*tuple[Any, ...]]) -> ArticleState:
    """The validators of an article, which cover everything shown.

    Args:
        state: An article, or the columns that its validators depend on.
    """
    modified = max(state.updated_at, state.counted_at or state.updated_at)
    revision = f"{state.id}-{state.version}"
    return ArticleState(
        f"{revision}-{state.likes}-{state.comments}",
        modified,
        state.id,
        state.published_at,
        revision,
        state.comments,
        state.language,
    )
