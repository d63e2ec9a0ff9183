"""Permissions that the routes of tasks ask for."""

from __future__ import annotations

from strongback.auth.permission import Permission


class TaskPermission(Permission):
    """What may be done with tasks."""

    READ = ("task:read", "View and cancel your tasks.")
    MANAGE = ("task:manage", "View and cancel any task.")
