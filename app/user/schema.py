"""What is asked and said about accounts."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from app.core.auth.permission import Role
from app.core.schema import RequestPath, Schema, Timestamp
from app.user.model import USERNAME_PATTERN

Username = Annotated[str, Field(pattern=USERNAME_PATTERN, examples=["ada"])]


class UserPath(RequestPath):
    """Names one account."""

    username: Username
    """The account's name, in lower case."""


class UserOut(Schema):
    """An account as everybody sees it."""

    id: int
    """Number of the account."""
    username: str
    """Name of the account."""
    roles: list[Role]
    """What it is trusted with."""
    created_at: Timestamp
    """When it was registered."""
