"""The principal: the caller of a request."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from strongback.auth.permission import Permission
from strongback.database import utc_now

RECENT = timedelta(minutes=5)
"""Time after a sign-in in which it counts as recent."""


@dataclass(frozen=True, slots=True)
class Principal:
    """The account that makes a request, and the permissions of the request."""

    user_id: int
    username: str
    permissions: frozenset[Permission]
    """Permissions in both the roles of the account and the scope of the token."""
    withheld: frozenset[Permission]
    """Permissions in the roles but not in the scope."""
    session_id: str
    signed_in_at: datetime

    @property
    def has_signed_in_recently(self) -> bool:
        """Whether the sign-in was less than `RECENT` ago, even if the clock was changed."""
        return abs(utc_now() - self.signed_in_at) < RECENT

    def may(self, permission: Permission) -> bool:
        """Whether the request has a permission."""
        return permission in self.permissions
