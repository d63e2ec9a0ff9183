"""Who is asking, as far as the token says and the database confirms."""

from __future__ import annotations

from dataclasses import dataclass

from app.core.auth.permission import Permission


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

    def may(self, permission: Permission) -> bool:
        """Whether this request may do that."""
        return permission in self.permissions
