"""The interface between authentication and the accounts of an application."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from strongback.auth.permission import Permission


@dataclass(frozen=True, slots=True)
class Account:
    """An account, as authentication needs it. Two are equal while none of this has changed."""

    id: int
    username: str
    permissions: frozenset[Permission]
    """Permissions of all its roles."""
    disabled: bool
    """Whether an administrator has disabled it."""
    password_changed_at: datetime | None


class Accounts(Protocol):
    """Looks up accounts."""

    def account(self, user_id: int, *, lock: bool = False) -> Account | None:
        """The current state of an account, which `lock` locks until the transaction ends."""
        ...

    def check_password(self, username: str, password: str) -> Account | None:
        """The account, if the password is right and the account is not disabled.

        Takes the same time whether or not the account exists.
        """
        ...

    def account_of_phone(self, phone: str) -> Account | None:
        """The account with this verified telephone number."""
        ...


@dataclass(frozen=True, slots=True)
class Contact:
    """How a person is reached. What is not proven is not there."""

    account_id: int
    username: str
    email: str | None
    """Mail address, if its owner has proven it."""
    phone: str | None
    """Telephone number (E.164), if its owner has proven it."""
    locale: str
    """Language of messages to this person, such as `en` or `zh`."""


class Contacts(Protocol):
    """Looks up how persons are reached."""

    def contacts(self, account_ids: Collection[int]) -> Mapping[int, Contact]:
        """The contacts of accounts, by id; disabled and unknown accounts are left out."""
        ...

    def ids_of(self, usernames: Collection[str]) -> Mapping[str, int]:
        """The ids of accounts, by username; unknown names are left out."""
        ...
