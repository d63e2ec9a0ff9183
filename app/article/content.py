"""The content of an article: the one place where its fields are filled."""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Self, TypedDict

from pydantic import TypeAdapter, ValidationError

from app.article.markdown import Rendered, render
from app.article.model import SLUG_LENGTH, SUMMARY_LENGTH, TITLE_LENGTH, Article
from app.article.schema import Slug
from strongback.database import utc_now
from strongback.exceptions import StrongbackError
from strongback.text import is_seen, shorten, slugify, without_controls

NAMELESS = "article"
IMAGE_COUNT = 500
"""Images of an article that are kept for it."""
_IMAGE = re.compile(r"/files/([0-9a-f]{32})/content")
_SUFFIX_LENGTH = 7
_SLUG: TypeAdapter[str] = TypeAdapter(Slug)


class Fields(TypedDict, total=False):
    """Writable fields; omitted ones keep their values."""

    slug: str
    title: str | None
    """None: from the first heading."""
    body: str
    summary: str | None
    """None: from the first paragraph."""
    tags: Sequence[str]
    language: str
    published: bool
    published_at: datetime


@dataclass(frozen=True, slots=True)
class Draft:
    """An article in a file; fields that are None are taken from the text."""

    slug: str
    body: str
    language: str
    author: str
    title: str | None = None
    summary: str | None = None
    tags: tuple[str, ...] = ()
    published: bool | None = None
    """False keeps it a draft, even with a publication date."""
    published_at: datetime | None = None

    def is_published_otherwise(self, published_at: datetime | None) -> bool:
        """Whether its publication date differs from this one; None stands for a draft."""
        if self.published is False:
            return published_at is not None
        if self.published_at is None:
            return self.published is True and published_at is None
        return self.published_at != published_at

    def fields(self) -> Fields:
        """The same, as it is written."""
        fields = Fields(
            slug=self.slug,
            title=self.title,
            body=self.body,
            summary=self.summary,
            tags=self.tags,
            language=self.language,
        )
        if self.published is False or (self.published and self.published_at is None):
            return fields | Fields(published=self.published)
        return fields | Fields(published_at=self.published_at) if self.published_at else fields


class TextMoved(StrongbackError):
    """The rendered text is no longer that of the article."""


@dataclass(frozen=True, slots=True)
class RenderedText:
    """A text and its rendering, which is slow and made before the transaction."""

    body: str
    rendered: Rendered

    @classmethod
    def of(cls, body: str) -> Self:
        """Render the text."""
        return cls(body, render(body))


def needs_text(fields: Fields) -> bool:
    """Whether HTML, title or summary have to be made from the text."""
    return "body" in fields or None in {fields.get("title", ""), fields.get("summary", "")}


def write(article: Article, fields: Fields, text: RenderedText | None) -> None:
    """Fill the fields of an article.

    Args:
        article: A new article, or one with its text loaded.
        fields: Fields to write.
        text: Rendered text, if `needs_text`.

    Raises:
        TextMoved: The fields have no text, and that of the article has changed.
    """
    # Loading flushes what is changed, which would be a version of its own: so it comes first.
    shown = list(article.images) if "body" in fields else []
    rendered = None if text is None else text.rendered
    if text is not None and text.body != fields.get("body", article.body):
        raise TextMoved
    if "slug" in fields:
        article.slug = fields["slug"]
    if "language" in fields:
        article.language = fields["language"]
    if "body" in fields and rendered is not None:
        article.body, article.html = fields["body"], rendered.html
        if shown != (images := images_in(rendered.html)):
            article.images = images
    _write_heading(article, fields, rendered)
    if "tags" in fields and sorted(article.tags) != sorted(fields["tags"]):
        article.tags = sorted(fields["tags"])
    _publish(article, fields)


def images_in(html: str) -> list[str]:
    """The ids of the files that a rendered text shows."""
    return sorted(set(_IMAGE.findall(html)))[:IMAGE_COUNT]


def _write_heading(article: Article, fields: Fields, rendered: Rendered | None) -> None:
    title, summary = fields.get("title", ""), fields.get("summary", "")
    if rendered is not None:
        # A text may hold what a line may not: what is made from it leaves that out.
        heading, paragraph = without_controls(rendered.title), without_controls(rendered.summary)
        heading = heading if is_seen(heading) else article.slug
        title = shorten(heading, TITLE_LENGTH) if title is None else title
        summary = shorten(paragraph, SUMMARY_LENGTH) if summary is None else summary
    if "title" in fields:
        article.title = title or ""
    if "summary" in fields:
        article.summary = summary or ""


def _publish(article: Article, fields: Fields) -> None:
    if "published_at" in fields:
        article.published_at = fields["published_at"]
    if "published" not in fields:
        return
    now = utc_now()
    if not fields["published"]:
        article.published_at = None
    elif article.published_at is None or article.published_at > now:
        article.published_at = now


def slug_from(title: str) -> str:
    """A slug made from the title."""
    slug = slugify(title)[:SLUG_LENGTH].strip("-")
    try:
        return _SLUG.validate_python(slug)
    except ValidationError:
        return NAMELESS  # nothing of the title can stand in an address


def vary_slug(slug: str) -> str:
    """Another slug for an article whose slug is taken."""
    suffix = secrets.token_hex(_SUFFIX_LENGTH // 2)
    return f"{slug[: SLUG_LENGTH - _SUFFIX_LENGTH].rstrip('-')}-{suffix}"
