"""Permissions of the channels for operators."""

from __future__ import annotations

from strongback.auth.permission import Permission


class OperationPermission(Permission):
    """What operators may do."""

    READ = ("operation:read", "View the state of the outbox and of all services.")
