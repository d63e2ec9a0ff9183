"""What is asked and said about comments."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from strongback.schema import MAX_ID, RequestBody, RequestPath, Schema, Timestamp

BODY_LENGTH = 5000


class CommentedPath(RequestPath):
    """Names the article that is commented."""

    # MySQL ignores spaces at the end of what it compares, SQLite does not.
    slug: Annotated[
        str,
        StringConstraints(strip_whitespace=True),
        Field(max_length=120, examples=["getting-started"]),
    ]
    """The article's name in addresses."""


class CommentPath(RequestPath):
    """Names one comment."""

    id: Annotated[int, Field(ge=1, le=MAX_ID)]
    """Number of the comment."""


class NewComment(RequestBody):
    """A new comment."""

    body: Annotated[str, Field(min_length=1, max_length=BODY_LENGTH, pattern=r"\S")]
    """Plain text; a page that shows it must escape it."""


class CommentOut(Schema):
    """A comment."""

    id: int
    """Number of the comment."""
    author: str
    """Name of the account that wrote it."""
    body: str
    """Plain text."""
    created_at: Timestamp
    """When it was written."""
