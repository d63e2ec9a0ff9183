"""What is asked and said about articles."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

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


def _refuse_folders(tag: str) -> str:
    """A tag is the end of its page's address, where dots are folders (RFC 3986, section 5.2.4)."""
    if {"", ".", ".."} & set(tag.split("/")):
        message = "Write more than one or two dots before, between and after slashes"
        raise PydanticCustomError("tag_of_folders", message)
    return tag


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
Tag = Annotated[
    str,
    Field(min_length=1, max_length=TAG_LENGTH),
    SEEN,
    AfterValidator(_refuse_folders),
    BeforeValidator(_fold),
]
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
    """Slug of the article: letters and digits, in words joined by hyphens."""


class ArticleQuery(PageQuery):
    """Filters and order of a list of articles."""

    tag: Annotated[str, Field(max_length=TAG_LENGTH), BeforeValidator(_fold)] | None = None
    """Articles with this tag only."""
    author: Annotated[str, Name, Field(max_length=32)] | None = None
    """Articles by this account only, by its username."""
    language: Language | None = None
    """Articles in this language only (BCP 47), such as `en` or `zh`."""
    sort: Sort = "-published_at"
    """Sort key; a leading hyphen sorts in descending order."""


class TagQuery(RequestQuery):
    """Size of a list of tags."""

    limit: Annotated[int, Field(ge=1, le=MAX_TAGS)] = 20
    """Maximum number of tags."""


class TagList(Schema):
    """The most used tags."""

    items: list[str]
    """Tags, most used first."""


class ArticleIn(RequestBody):
    """A new article."""

    title: Title
    """Title, a single line."""
    body: Body
    """Text in Markdown (CommonMark with tables, strikethrough and footnotes)."""
    summary: Summary | None = None
    """Plain text of a sentence or two. Default: taken from the first paragraph."""
    slug: Slug | None = None
    """Slug, unique. Default: made from the title."""
    tags: Annotated[Tags, Field(default_factory=list)]
    """Tags; stored in lower case and without duplicates."""
    language: Language = "en"
    """Language of the text (BCP 47)."""
    published: bool = False
    """True publishes the article at once; false keeps it as a draft."""


def _left_out() -> Any:  # noqa: ANN401  stands for any field's value
    # The factory keeps the default out of the document: what is left out has no value.
    return Field(default_factory=lambda: None)


class ArticleChange(RequestBody):
    """Changes to an article; fields that are left out keep their values."""

    title: Title = _left_out()
    """Title, a single line."""
    body: Body = _left_out()
    """Text in Markdown."""
    summary: Summary | None = _left_out()
    """Plain text of a sentence or two; null takes it from the first paragraph again."""
    slug: Slug = _left_out()
    """New slug; the article is no longer found by the old one."""
    tags: Tags = _left_out()
    """Tags, replacing all current ones."""
    language: Language = _left_out()
    """Language of the text (BCP 47)."""
    published: bool = _left_out()
    """Whether the article is published; true keeps an earlier publication date."""


class ArticleSummary(Schema):
    """An article without its text."""

    id: int
    """Id of the article."""
    slug: str
    """Slug of the article."""
    title: str
    """Title."""
    summary: str
    """Plain text of a sentence or two."""
    tags: Annotated[list[str], BeforeValidator(_as_list)]
    """Tags in alphabetical order."""
    language: str
    """Language of the text (BCP 47)."""
    author: str
    """Username of the author."""
    version: int
    """Version of the text; grows with each change."""
    likes: int
    """Number of likes."""
    comments: int
    """Number of comments."""
    published_at: Timestamp | None
    """Publication date; null for a draft."""
    created_at: Timestamp
    """Time of creation."""
    updated_at: Timestamp
    """Time of the last change."""


class ArticleEntry(ArticleSummary):
    """An article in a list."""

    views: int
    """Number of views, a few seconds old at most."""


class ArticleOut(ArticleSummary):
    """An article with its text."""

    body: str
    """Text in Markdown."""
    html: str
    """Text as sanitised HTML, safe to embed in a page."""


class LikeOut(Schema):
    """Whether somebody likes an article."""

    liked: bool
    """Whether you like it."""
