"""What is asked and said about articles."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StringConstraints

from app.article.model import LANGUAGE_LENGTH, SLUG_LENGTH, TAG_LENGTH
from app.core.schema import PageQuery, RequestPath, Schema, Timestamp

SLUG_PATTERN = r"^[^\W_A-Z]+(?:-[^\W_A-Z]+)*$"
LANGUAGE_PATTERN = r"^[a-z]{2,3}(?:-[A-Za-z0-9]{2,8})*$"

# MySQL ignores spaces at the end of what it compares, SQLite does not.
Name = StringConstraints(strip_whitespace=True)
Slug = Annotated[
    str, Field(pattern=SLUG_PATTERN, max_length=SLUG_LENGTH, examples=["getting-started"])
]
Language = Annotated[
    str, Field(pattern=LANGUAGE_PATTERN, max_length=LANGUAGE_LENGTH, examples=["en", "zh"])
]
Sort = Literal["-published_at", "published_at", "-updated_at", "updated_at"]


def _as_list(value: Any) -> Any:  # noqa: ANN401  a collection of the ORM, or a list
    return list(value) if isinstance(value, Iterable) and not isinstance(value, str) else value


class ArticlePath(RequestPath):
    """Names one article."""

    slug: Slug
    """The article's name in addresses: letters and digits in words joined by hyphens."""


class ArticleQuery(PageQuery):
    """Which articles are wanted, and in which order."""

    tag: Annotated[str, Name, Field(max_length=TAG_LENGTH)] | None = None
    """Only those with this tag."""
    author: Annotated[str, Name, Field(max_length=32)] | None = None
    """Only those by this account."""
    language: Language | None = None
    """Only those in this language (BCP 47), such as `en` or `zh`."""
    sort: Sort = "-published_at"
    """The order; a hyphen means newest first."""


class ArticleSummary(Schema):
    """An article in a list: everything but its text."""

    id: int
    """Number of the article."""
    slug: str
    """Name in addresses."""
    title: str
    """Title."""
    summary: str
    """A sentence or two of plain text."""
    tags: Annotated[list[str], BeforeValidator(_as_list)]
    """Tags, sorted."""
    language: str
    """Language of the text (BCP 47)."""
    author: str
    """Name of the account that wrote it."""
    version: int
    """Counts the changes of the text."""
    likes: int
    """How many like it."""
    comments: int
    """How many comments it has."""
    published_at: Timestamp | None
    """From when on readers see it; null for a draft."""
    created_at: Timestamp
    """When it was made."""
    updated_at: Timestamp
    """When it last changed."""


class ArticleOut(ArticleSummary):
    """An article with its text."""

    body: str
    """The Markdown as it was written."""
    html: str
    """The Markdown rendered and sanitised: safe to put into a page."""
