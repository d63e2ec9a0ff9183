"""What authentication needs to know of an account; the user slice knows the rest."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from strongback.auth.permission import Permission


@dataclass(frozen=True, slots=True)
class Account:
    """An account that may be signed in to. Two are equal while nothing of this has changed."""

    id: int
    """Number of the account."""
    username: str
    """Name of the account."""
    permissions: frozenset[Permission]
    """Everything that its roles allow."""
    disabled: bool
    """Whether an administrator has closed it."""
    password_changed_at: datetime | None
    """When the password was last replaced."""


class Accounts(Protocol):
    """Where accounts are looked up."""

    def account(self, user_id: int, *, lock: bool = False) -> Account | None:
        """The account of this number as it is now.

        Args:
            user_id: Number of the account.
            lock: Keep it as it is until the transaction ends.
        """
        ...

    def check_password(self, username: str, password: str) -> Account | None:
        """The account, if the password is its own and it is not disabled.

        Takes the same time whether or not there is such an account.
        """
        ...

    def account_of_phone(self, phone: str) -> Account | None:
        """The account that has proven this number; one that merely claims it does not count."""
        ...
