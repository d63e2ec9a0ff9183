"""Requests and responses of comments."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from strongback.schema import MAX_ID, RequestBody, RequestPath, Schema, Timestamp

BODY_LENGTH = 5000


class CommentedPath(RequestPath):
    """Path of an article's comments."""

    # MySQL ignores spaces at the end of what it compares, SQLite does not.
    slug: Annotated[
        str,
        StringConstraints(strip_whitespace=True),
        Field(max_length=120, examples=["getting-started"]),
    ]
    """Slug of the article."""


class CommentPath(RequestPath):
    """Path of a comment."""

    id: Annotated[int, Field(ge=1, le=MAX_ID)]
    """Id of the comment."""


class NewComment(RequestBody):
    """A new comment."""

    body: Annotated[str, Field(min_length=1, max_length=BODY_LENGTH, pattern=r"\S")]
    """Plain text; escape it before embedding it in a page."""
    reply_to: Annotated[int, Field(ge=1, le=MAX_ID)] | None = None
    """Id of the comment on the same article that this one replies to."""


class CommentOut(Schema):
    """A comment."""

    id: int
    """Id of the comment."""
    author: str
    """Username of the author."""
    body: str
    """Plain text; escape it before embedding it in a page."""
    reply_to: int | None
    """Id of the comment that this one replies to, which may be deleted; null if it is no reply."""
    created_at: Timestamp
    """Time of creation."""
