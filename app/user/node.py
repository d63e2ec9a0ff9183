"""Cached accounts: their public part as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta

from pydantic import TypeAdapter
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.core.permission import allowed
from app.user.model import User, normalize_username
from app.user.schema import UserOut
from strongback.auth.account import Account
from strongback.auth.session_cache import ACCOUNT_TTL
from strongback.cache import LOCAL_AND_REDIS, CacheInvalidator, DatabaseNode, Manager
from strongback.database import Database

_USER = TypeAdapter(UserOut)
BATCH = 5000
"""Rows read at once."""


class UserNode(DatabaseNode[bytes]):
    """An account as JSON, by its normalized username.

    The entity tag is a hash of the JSON: one of the row would reveal changes of private fields.
    """

    storages = LOCAL_AND_REDIS
    prefix = "user"
    version = 3

    @classmethod
    def read(cls, session: Session, keys: Sequence[str]) -> dict[str, bytes]:
        """Read accounts as JSON."""
        users = session.scalars(select(User).where(User.username.in_(keys)))
        return {user.username: _USER.dump_json(_USER.validate_python(user)) for user in users}


class AccountNode(DatabaseNode[Account]):
    """An account by its id, for its sessions.

    Cached in the process only and for a moment, so that disabling an account takes effect within a
    second everywhere, whatever fails.
    """

    storages = ("local",)
    prefix = "account"
    ttl = absent_ttl = timedelta(seconds=ACCOUNT_TTL)
    jitter = early = 0.0

    def __init__(self, user_id: int, database: Database | None = None) -> None:
        super().__init__(str(user_id), database)

    @classmethod
    def read(cls, session: Session, keys: Sequence[str]) -> dict[str, Account]:
        """Read the public part of accounts."""
        columns = select(
            User.id, User.username, User.roles, User.disabled, User.password_changed_at
        )
        rows = session.execute(columns.where(User.id.in_(map(int, keys))))
        return {
            str(row.id): Account(row.id, row.username, allowed(row.roles), row.disabled, row[4])
            for row in rows
        }


class UserPages:
    """Reads accounts from the cache."""

    def __init__(self, database: Database, cache: Manager) -> None:
        self._database = database
        self._cache = cache
        cache.register_node(UserNode, AccountNode)

    def user(self, username: str) -> bytes | None:
        """The account with a username as JSON, in any spelling; None if it does not exist."""
        return self._cache.get(UserNode(normalize_username(username), self._database))

    def account(self, user_id: int) -> Account | None:
        """The account with an id, for its sessions."""
        return self._cache.get(AccountNode(user_id, self._database))

    def watch(self, invalidator: CacheInvalidator) -> None:
        """Invalidate accounts that change."""
        invalidator.invalidate_on(
            User, lambda user: [UserNode(user.username), AccountNode(user.id)]
        )

    def all_names(self) -> Iterator[str]:
        """The usernames of all accounts."""
        with self._database.latest() as session:
            yield from session.scalars(select(User.username).execution_options(yield_per=BATCH))
