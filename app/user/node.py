"""What is cached of accounts: what everybody may see of one, ready to be sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

from pydantic import TypeAdapter
from sqlalchemy import select

from app.core.permission import allowed
from app.user.model import User, normalize_username
from app.user.schema import UserOut
from strongback.auth.account import Account
from strongback.auth.session_cache import ACCOUNT_TTL
from strongback.cache import CacheInvalidator, Manager, Node
from strongback.database import Database

_USER = TypeAdapter(UserOut)
BATCH = 5000
"""Rows that are read at once."""


class UserNode(Node[bytes]):
    """An account by its name, as the JSON that it is answered with.

    Its entity tag is a hash of that: one made of the row would show changes that nobody may see.
    """

    storages = ({"storage": "local", "ttl": timedelta(seconds=2)}, "redis")
    prefix = "user"
    version = 2

    def __init__(self, username: str, database: Database | None = None) -> None:
        self.username = username
        self._database = database

    def key(self) -> str:
        """Its name, folded."""
        return self.username

    def load(self) -> bytes | None:
        """Read it, and write the answer."""
        assert self._database is not None  # noqa: S101  nodes without one are for removing
        with self._database.latest() as session:
            user = session.scalar(select(User).where(User.username == self.username))
            return _USER.dump_json(_USER.validate_python(user)) if user else None


class AccountNode(Node[Account]):
    """An account by its number, for the sessions of its owner: one read serves all of them.

    It is in no storage that outlives a process, and for a moment only: closing an account is felt
    everywhere within a second, whatever else fails.
    """

    storages = ("local",)
    prefix = "account"
    ttl = absent_ttl = timedelta(seconds=ACCOUNT_TTL)
    jitter = early = 0.0

    def __init__(self, user_id: int, read: Callable[[int], Account | None] | None = None) -> None:
        self.user_id = user_id
        self._read = read

    def key(self) -> str:
        """Its number."""
        return str(self.user_id)

    def load(self) -> Account | None:
        """Read it."""
        assert self._read is not None  # noqa: S101  nodes without it are for removing
        return self._read(self.user_id)


class UserPages:
    """Reads accounts as they are answered."""

    def __init__(self, database: Database, cache: Manager) -> None:
        self._database = database
        self._cache = cache
        cache.register_node(UserNode, AccountNode)

    def user(self, username: str) -> bytes | None:
        """The account of this name, however it is written, as JSON; None if there is none."""
        return self._cache.get(UserNode(normalize_username(username), self._database))

    def account(self, user_id: int) -> Account | None:
        """The account of this number, for a session of its owner."""
        return self._cache.get(AccountNode(user_id, self._read_account))

    def watch(self, invalidator: CacheInvalidator) -> None:
        """Forget an account that changes."""
        invalidator.invalidate_on(
            User, lambda user: [UserNode(user.username), AccountNode(user.id)]
        )

    def _read_account(self, user_id: int) -> Account | None:
        columns = select(
            User.id, User.username, User.roles, User.disabled, User.password_changed_at
        )
        with self._database.latest() as session:
            row = session.execute(columns.where(User.id == user_id)).first()
        return (
            Account(row.id, row.username, allowed(row.roles), row.disabled, row[4]) if row else None
        )

    def all_names(self) -> Iterator[str]:
        """The names of all accounts."""
        with self._database.latest() as session:
            yield from session.scalars(select(User.username).execution_options(yield_per=BATCH))
