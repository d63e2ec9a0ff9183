"""Permissions of the routes of tasks."""

from __future__ import annotations

from strongback.auth.permission import Permission


class TaskPermission(Permission):
    """What may be done with tasks."""

    READ = ("task:read", "View and cancel your tasks.")
    MANAGE = ("task:manage", "View and cancel any task.")
