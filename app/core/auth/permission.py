"""Who may do what: the one table of roles and permissions."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Self


class Role(StrEnum):
    """What an account is trusted with."""

    ADMIN = "admin"
    AUTHOR = "author"
    USER = "user"


class Permission(StrEnum):
    """One thing that can be allowed; also the OAuth 2 scope that narrows a token to it."""

    description: str
    """What it allows, in a sentence."""

    def __new__(cls, value: str, description: str = "") -> Self:
        """Make a member of its value, which it equals, and its description."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.description = description
        return member

    PROFILE_READ = ("profile:read", "See one's own account and sessions.")
    PROFILE_WRITE = ("profile:write", "Change one's own account, password and sessions.")
    COMMENT_WRITE = ("comment:write", "Comment, and delete one's own comments.")
    LIKE_WRITE = ("like:write", "Like articles.")
    FOLLOW_WRITE = ("follow:write", "Follow authors.")
    NOTIFICATION_READ = ("notification:read", "See one's own notifications.")
    NOTIFICATION_WRITE = ("notification:write", "Mark one's own notifications as read.")
    ARTICLE_WRITE = ("article:write", "Write articles, and change one's own.")
    ARTICLE_MANAGE = ("article:manage", "Change anybody's articles.")
    COMMENT_MANAGE = ("comment:manage", "Delete anybody's comments.")
    TASK_READ = ("task:read", "See and cancel one's own tasks.")
    TASK_MANAGE = ("task:manage", "See and cancel anybody's tasks.")
    USER_MANAGE = ("user:manage", "See roles, give them, disable accounts, and end sessions.")


_USER = frozenset(
    {
        Permission.PROFILE_READ,
        Permission.PROFILE_WRITE,
        Permission.COMMENT_WRITE,
        Permission.LIKE_WRITE,
        Permission.TASK_READ,
        Permission.FOLLOW_WRITE,
        Permission.NOTIFICATION_READ,
        Permission.NOTIFICATION_WRITE,
    }
)
MATRIX: dict[Role, frozenset[Permission]] = {
    Role.USER: _USER,
    Role.AUTHOR: _USER | {Permission.ARTICLE_WRITE},
    Role.ADMIN: frozenset(Permission),
}
"""What each role allows. The documentation's table and a test are made from it."""


def permissions_of(roles: Iterable[str]) -> frozenset[Permission]:
    """Everything that any of the roles allows."""
    return frozenset().union(*(MATRIX[Role(role)] for role in roles))
