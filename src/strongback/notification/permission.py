"""Permissions of the routes of notifications."""

from __future__ import annotations

from strongback.auth.permission import Permission


class NotificationPermission(Permission):
    """What may be done with notifications."""

    READ = ("notification:read", "View your notifications.")
    WRITE = ("notification:write", "Mark your notifications as read, and choose their ways.")
