"""Rules of accounts."""

from __future__ import annotations

import re
from collections.abc import Iterable

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from app.core.auth.password import hash_password
from app.core.auth.permission import Role
from app.core.database import Database, is_duplicate, transactional
from app.core.exceptions import ValidationFailed
from app.core.paging import Order, Window, read_page
from app.core.schema import PageQuery, Validators
from app.user.exceptions import UsernameTaken, UserNotFound
from app.user.model import USERNAME_PATTERN, User, normalize_username

BY_AGE = Order(User.id, User.id, descending=False)


class UserService:
    """Looks up and makes accounts."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def find(self, username: str) -> User | None:
        """The account of this name, however it is written."""
        name = normalize_username(username)
        return self.database.session.scalar(select(User).where(User.username == name))

    def get(self, username: str) -> User:
        """The account of this name.

        Raises:
            UserNotFound: There is none.
        """
        if user := self.find(username):
            return user
        raise UserNotFound

    def validators(self, username: str) -> Validators | None:
        """The account's validators; None if there is no such account."""
        user = self.find(username)
        return user.validators if user else None

    def exists(self, username: str) -> bool:
        """Whether an account has this name."""
        return self.find(username) is not None

    def list(self, wanted: PageQuery) -> Window[User]:
        """A part of all accounts, oldest first."""
        return read_page(self.database.session, select(User), BY_AGE, wanted)

    @transactional
    def create(self, username: str, password: str | None, roles: Iterable[Role]) -> User:
        """Make an account.

        Args:
            username: 3 to 32 of a–z, 0–9, hyphen and underscore, after folding.
            password: What its owner will sign in with; None for an account of the system.
            roles: What it is trusted with.

        Raises:
            UsernameTaken: Another account has the name.
            ValidationFailed: The name has other characters or another length.
        """
        name = normalize_username(username)
        if not re.fullmatch(USERNAME_PATTERN, name):
            message = "Use 3 to 32 of the characters a-z, 0-9, - and _."
            raise ValidationFailed(
                errors=[{"field": "body.username", "message": message, "type": "username"}]
            )
        hashed = hash_password(password) if password is not None else None
        user = User(username=name, password_hash=hashed, roles=[Role(role) for role in roles])
        self.database.session.add(user)
        try:
            self.database.session.flush()
        except IntegrityError as error:
            if is_duplicate(error):
                raise UsernameTaken from None
            raise
        return user

    @transactional
    def put(self, username: str, password: str, roles: Iterable[Role]) -> User:
        """Make the account, or give the one of this name this password and these roles."""
        if (user := self.find(username)) is None:
            return self.create(username, password, roles)
        user.password_hash, user.roles = hash_password(password), list(roles)
        return user

    @transactional
    def ensure_system_account(self, username: str) -> None:
        """Make an author that nobody can sign in as, unless the name is there already."""
        if not self.exists(username):
            self.create(username, None, [Role.AUTHOR])
