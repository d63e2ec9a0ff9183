"""Roles, permissions, and the permissions of each role."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from strongback.auth import permission
from strongback.file.permission import FilePermission
from strongback.live.permission import OperationPermission
from strongback.notification.permission import NotificationPermission
from strongback.realtime.permission import RealtimePermission
from strongback.task.permission import TaskPermission


class Role(StrEnum):
    """Role of an account."""

    ADMIN = "admin"
    AUTHOR = "author"
    USER = "user"


class Permission(permission.Permission):
    """The permissions of the slices."""

    PROFILE_READ = ("profile:read", "View your account and sessions.")
    PROFILE_WRITE = ("profile:write", "Change your account, password and sessions.")
    COMMENT_WRITE = ("comment:write", "Write comments, and delete your own.")
    LIKE_WRITE = ("like:write", "Like articles.")
    FOLLOW_WRITE = ("follow:write", "Follow authors.")
    ARTICLE_WRITE = ("article:write", "Write articles, and change your own.")
    ARTICLE_MANAGE = ("article:manage", "Change any article.")
    COMMENT_MANAGE = ("comment:manage", "Delete any comment.")
    USER_MANAGE = ("user:manage", "View and set roles, disable accounts, and end sessions.")


_USER: frozenset[permission.Permission] = frozenset(
    {
        Permission.PROFILE_READ,
        Permission.PROFILE_WRITE,
        Permission.COMMENT_WRITE,
        Permission.LIKE_WRITE,
        Permission.FOLLOW_WRITE,
        *NotificationPermission,
        FilePermission.READ,
        FilePermission.WRITE,
        RealtimePermission.CONNECT,
        TaskPermission.READ,
    }
)
ROLES: dict[str, frozenset[permission.Permission]] = {
    Role.USER: _USER,
    Role.AUTHOR: _USER | {Permission.ARTICLE_WRITE},
    Role.ADMIN: frozenset(
        (
            *Permission,
            *FilePermission,
            *NotificationPermission,
            *OperationPermission,
            *RealtimePermission,
            *TaskPermission,
        )
    ),
}
"""Permissions of each role, also the source of a table in the documentation and of a test."""


def allowed(roles: Iterable[str]) -> frozenset[permission.Permission]:
    """The permissions of the given roles."""
    return permission.allowed(ROLES, roles)
