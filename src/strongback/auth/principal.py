"""Who is asking, as far as the token says and the database confirms."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from strongback.auth.permission import Permission
from strongback.database import utc_now

RECENT = timedelta(minutes=5)
"""How long a sign-in proves that the owner is asking, and not whoever found a device signed in."""


@dataclass(frozen=True, slots=True)
class Principal:
    """The account behind a request, and what this request may do in its name."""

    user_id: int
    """Number of the account."""
    username: str
    """Name of the account."""
    permissions: frozenset[Permission]
    """What the account's roles and the token's scope both allow."""
    withheld: frozenset[Permission]
    """What the roles allow and the token's scope does not."""
    session_id: str
    """The session that the token belongs to."""
    signed_in_at: datetime
    """When the session was opened."""

    @property
    def has_signed_in_recently(self) -> bool:
        """Whether that was less than `RECENT` ago, whichever way the clock was set meanwhile."""
        return abs(utc_now() - self.signed_in_at) < RECENT

    def may(self, permission: Permission) -> bool:
        """Whether this request may do that."""
        return permission in self.permissions
