"""Permissions that the routes of tasks ask for."""

from __future__ import annotations

from strongback.auth.permission import Permission


class TaskPermission(Permission):
    """What may be done with tasks."""

    READ = ("task:read", "See and cancel one's own tasks.")
    MANAGE = ("task:manage", "See and cancel anybody's tasks.")
