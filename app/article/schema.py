"""What is asked and said about articles."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints

from app.article.model import (
    BODY_LENGTH,
    LANGUAGE_LENGTH,
    SLUG_LENGTH,
    SUMMARY_LENGTH,
    TAG_COUNT,
    TAG_LENGTH,
    TITLE_LENGTH,
)
from strongback.schema import (
    PRINTED,
    SEEN,
    PageQuery,
    RequestBody,
    RequestPath,
    RequestQuery,
    Schema,
    Timestamp,
)
from strongback.text import normalize

SLUG_PATTERN = r"^[^\W_A-Z]+(?:-[^\W_A-Z]+)*$"
MAX_TAGS = 100
LANGUAGE_PATTERN = r"^[a-z]{2,3}(?:-[A-Za-z0-9]{2,8})*$"


def _compose(value: Any) -> Any:  # noqa: ANN401  whatever came
    return normalize("NFC", value) if isinstance(value, str) else value


def _unify(value: Any) -> Any:  # noqa: ANN401  whatever came
    return normalize("NFKC", value) if isinstance(value, str) else value


def _one_line(value: Any) -> Any:  # noqa: ANN401  whatever came
    return " ".join(value.split()) if isinstance(value, str) else value


def _fold(value: Any) -> Any:  # noqa: ANN401  whatever came
    return _one_line(_unify(value).lower()) if isinstance(value, str) else value


def _distinct(values: list[str]) -> list[str]:
    return sorted(set(values))


# MySQL ignores spaces at the end of what it compares, SQLite does not.
Name = StringConstraints(strip_whitespace=True)
# A validator that comes last runs first: spellings are unified before they are checked, because
# unifying may lengthen a text.
KnownSlug = Annotated[
    str,
    Field(pattern=SLUG_PATTERN, max_length=SLUG_LENGTH, examples=["getting-started"]),
    BeforeValidator(_compose),
]
"""A slug that an article may have, be it from before today's rules."""
Slug = Annotated[KnownSlug, SEEN, BeforeValidator(_unify)]
Title = Annotated[
    str, Field(min_length=1, max_length=TITLE_LENGTH), PRINTED, BeforeValidator(_one_line)
]
Summary = Annotated[str, Field(max_length=SUMMARY_LENGTH), PRINTED, BeforeValidator(_one_line)]
Body = Annotated[str, Field(min_length=1, max_length=BODY_LENGTH, pattern=r"\S")]
Tag = Annotated[str, Field(min_length=1, max_length=TAG_LENGTH), SEEN, BeforeValidator(_fold)]
Tags = Annotated[list[Tag], Field(max_length=TAG_COUNT), AfterValidator(_distinct)]
Language = Annotated[
    str, Field(pattern=LANGUAGE_PATTERN, max_length=LANGUAGE_LENGTH, examples=["en", "zh"])
]
Sort = Literal["-published_at", "published_at", "-updated_at", "updated_at", "-views"]


def _as_list(value: Any) -> Any:  # noqa: ANN401  a collection of the ORM, or a list
    return list(value) if isinstance(value, Iterable) and not isinstance(value, str) else value


class ArticlePath(RequestPath):
    """Names one article."""

    slug: KnownSlug
    """The article's name in addresses: letters and digits in words joined by hyphens."""


class ArticleQuery(PageQuery):
    """Which articles are wanted, and in which order."""

    tag: Annotated[str, Field(max_length=TAG_LENGTH), BeforeValidator(_fold)] | None = None
    """Only those with this tag."""
    author: Annotated[str, Name, Field(max_length=32)] | None = None
    """Only those by this account."""
    language: Language | None = None
    """Only those in this language (BCP 47), such as `en` or `zh`."""
    sort: Sort = "-published_at"
    """The order; a hyphen means the newest, or most, first."""


class TagQuery(RequestQuery):
    """How many tags are wanted."""

    limit: Annotated[int, Field(ge=1, le=MAX_TAGS)] = 20
    """Tags at most."""


class TagList(Schema):
    """The tags that most articles have."""

    items: list[str]
    """Tags, the most used first."""


class ArticleIn(RequestBody):
    """A new article."""

    title: Title
    """Title, on one line."""
    body: Body
    """The text in Markdown (CommonMark, tables, strikethrough, footnotes)."""
    summary: Summary | None = None
    """A sentence or two of plain text; made from the first paragraph when left out."""
    slug: Slug | None = None
    """Name in addresses; made from the title when left out."""
    tags: Annotated[Tags, Field(default_factory=list)]
    """Tags; lower case, each once, whatever was sent."""
    language: Language = "en"
    """Language of the text (BCP 47)."""
    published: bool = False
    """Whether readers see it at once; otherwise it is a draft."""


def _left_out() -> Any:  # noqa: ANN401  stands for any field's value
    # The factory keeps the default out of the document: what is left out has no value.
    return Field(default_factory=lambda: None)


class ArticleChange(RequestBody):
    """What is to change in an article; what is left out stays as it is."""

    title: Title = _left_out()
    """Title, on one line."""
    body: Body = _left_out()
    """The text in Markdown."""
    summary: Summary | None = _left_out()
    """A sentence or two of plain text; null makes it from the first paragraph again."""
    slug: Slug = _left_out()
    """Name in addresses; the old address ends."""
    tags: Tags = _left_out()
    """All tags, in place of the present ones."""
    language: Language = _left_out()
    """Language of the text (BCP 47)."""
    published: bool = _left_out()
    """Whether readers see it; true leaves the moment of an earlier publication."""


class ArticleSummary(Schema):
    """Everything but an article's text."""

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


class ArticleEntry(ArticleSummary):
    """An article in a list, with what is not told from its state."""

    views: int
    """How often it was read, as of some seconds ago."""


class ArticleOut(ArticleSummary):
    """An article with its text."""

    body: str
    """The Markdown as it was written."""
    html: str
    """The Markdown rendered and sanitised: safe to put into a page."""
