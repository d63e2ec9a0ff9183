"""What is asked and said about comments."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from app.core.schema import RequestPath, Schema, Timestamp


class CommentedPath(RequestPath):
    """Names the article that is commented."""

    # MySQL ignores spaces at the end of what it compares, SQLite does not.
    slug: Annotated[
        str,
        StringConstraints(strip_whitespace=True),
        Field(max_length=120, examples=["getting-started"]),
    ]
    """The article's name in addresses."""


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
