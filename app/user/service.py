"""The accounts."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError

from app.core.permission import Permission, Role, allowed
from app.user.exceptions import UsernameTaken, UserNotFound
from app.user.model import USERNAME_PATTERN, User, fold_email, normalize_username
from strongback.auth.account import Account, Contact
from strongback.auth.password import hash_password, needs_rehash, require_good, verify_password
from strongback.database import Database, is_duplicate, transactional
from strongback.exceptions import ValidationFailed
from strongback.log.setup import get_logger
from strongback.paging import Order, Window, read_page
from strongback.schema import PageQuery

log = get_logger(__name__)

BY_AGE = Order(User.id, User.id, descending=False)


class UserService:
    """Looks up, creates and authenticates accounts.

    Args:
        database: Stores the accounts.
        title: Title of the application, which passwords must not consist of.
    """

    def __init__(self, database: Database, title: str) -> None:
        self.database = database
        self._title = title

    def find(self, username: str) -> User | None:
        """The account with a username, in any spelling; None if it does not exist."""
        name = normalize_username(username)
        return self.database.session.scalar(select(User).where(User.username == name))

    def get(self, username: str) -> User:
        """The account with a username.

        Raises:
            UserNotFound: The account does not exist.
        """
        if user := self.find(username):
            return user
        raise UserNotFound

    def exists(self, username: str) -> bool:
        """Whether a username exists."""
        return self.find(username) is not None

    def may(self, username: str, permission: Permission) -> bool:
        """Whether an account currently has a permission."""
        # An import asks at each file, so that this is no more than the two columns.
        query = select(User.roles, User.disabled)
        row = self.database.session.execute(
            query.where(User.username == normalize_username(username))
        ).one_or_none()
        if row is None or row.disabled:
            return False
        return permission in allowed(row.roles)

    def list(self, wanted: PageQuery) -> Window[User]:
        """A part of the list of accounts, oldest first."""
        return read_page(self.database.session, select(User), BY_AGE, wanted)

    # What authentication asks (strongback.auth.account.Accounts)

    def account(self, user_id: int, *, lock: bool = False) -> Account | None:
        """The current state of the account with an id, optionally locked until the commit."""
        query = select(
            User.id, User.username, User.roles, User.disabled, User.password_changed_at
        ).where(User.id == user_id)
        row = self.database.session.execute(query.with_for_update() if lock else query).first()
        if row is None:
            return None
        return Account(row.id, row.username, allowed(row.roles), row.disabled, row[4])

    def account_of_phone(self, phone: str) -> Account | None:
        """The account with a verified telephone number."""
        user_id = self.database.session.scalar(select(User.id).where(User.proven_phone == phone))
        return None if user_id is None else self.account(user_id)

    def ids_of(self, usernames: Collection[str]) -> dict[str, int]:
        """The ids of accounts, by username; unknown names are left out."""
        query = select(User.username, User.id).where(User.username.in_(usernames))
        return {row.username: row.id for row in self.database.session.execute(query)}

    def contacts(self, account_ids: Collection[int]) -> dict[int, Contact]:
        """How accounts are reached, by id; disabled and unknown accounts are left out."""
        query = select(User).where(User.id.in_(account_ids), User.disabled.is_(False))
        return {user.id: _contact(user) for user in self.database.session.scalars(query)}

    def find_by_login(self, login: str) -> User | None:
        """The account with a username or a verified address; None if there is none."""
        if "@" not in login:
            return self.find(login)
        mine = User.proven_email == fold_email(login)
        return self.database.session.scalar(select(User).where(mine))

    def locked(self, user_id: int) -> User:
        """The account, locked until the commit, so that no session is opened meanwhile."""
        return self.database.session.get_one(
            User, user_id, with_for_update=True, populate_existing=True
        )

    def check_password(self, username: str, password: str) -> Account | None:
        """The account, if the password is right and the account is not disabled.

        Takes the same time for unknown usernames, which are checked against a hash as well.
        """
        user = self.find(username)
        stored = user.password_hash if user else None
        is_right = verify_password(stored, password)
        if user is None or stored is None or not is_right or user.disabled:
            if user is not None:
                log.warning("password_refused", user_id=user.id, disabled=user.disabled)
            return None
        account = self.account(user.id)
        if needs_rehash(stored):
            self._rehash(user.id, stored, hash_password(password))
        return account

    @transactional
    def _rehash(self, user_id: int, stored: str, hashed: str) -> None:
        """Replace a hash by one with current parameters, unless the password was changed."""
        current = (User.id == user_id) & (User.password_hash == stored)
        self.database.session.execute(
            update(User).where(current).values(password_hash=hashed, updated_at=User.updated_at),
            execution_options={"synchronize_session": False},
        )
        log.info("password_rehashed", user_id=user_id)

    # Making accounts

    def create(  # noqa: PLR0913  what an account begins with
        self,
        username: str,
        password: str | None,
        roles: Iterable[Role],
        *,
        email: str | None = None,
        phone: str | None = None,
        locale: str = "en",
    ) -> User:
        """Create an account.

        Args:
            username: 3 to 32 of a-z, 0-9, hyphen and underscore, after normalization.
            password: Password; None for an account of the system.
            roles: Roles of the account.
            email: Unverified e-mail address.
            phone: Unverified telephone number.
            locale: Language of mail to its owner.

        Raises:
            UsernameTaken: The username is taken.
            ValidationFailed: The username is invalid, or the password is too easy to guess.
        """
        name = normalize_username(username)
        if not re.fullmatch(USERNAME_PATTERN, name):
            message = "Use 3 to 32 of the characters a-z, 0-9, - and _."
            raise ValidationFailed(
                errors=[{"field": "body.username", "message": message, "type": "username"}]
            )
        # Hashed before the transaction begins, so that no other writer waits for it.
        hashed = None if password is None else self.hash_new(password, "body.password", name, email)
        user = User(username=name, password_hash=hashed, email=email, phone=phone, locale=locale)
        user.roles = [Role(role) for role in roles]
        return self._add(user)

    def hash_new(self, password: str, field: str, username: str, email: str | None) -> str:
        """The hash of a new password.

        Args:
            password: The new password.
            field: Location of the password in the request, such as `body.password`.
            username: Username of the account.
            email: E-mail address of the account.

        Raises:
            ValidationFailed: The password is too easy to guess.
        """
        mailbox = (email or "").partition("@")[0]
        require_good(password, field, (self._title, username, mailbox))
        return hash_password(password)

    @transactional
    def _add(self, user: User) -> User:
        self.database.session.add(user)
        try:
            self.database.session.flush()
        except IntegrityError as error:
            if is_duplicate(error):
                raise UsernameTaken from None
            raise
        return user

    def put(self, username: str, password: str, roles: Iterable[Role]) -> User:
        """Create an account, or set the password and roles of the existing one."""
        if self.find(username) is None:
            return self.create(username, password, roles)
        return self._replace(username, hash_password(password), roles)

    @transactional
    def _replace(self, username: str, hashed: str, roles: Iterable[Role]) -> User:
        user = self.get(username)
        user.password_hash, user.roles = hashed, list(roles)
        return user

    @transactional
    def ensure_system_account(self, username: str) -> None:
        """Create an author without a password, unless the username exists."""
        if not self.exists(username):
            self.create(username, None, [Role.AUTHOR])


def _contact(user: User) -> Contact:
    email = user.email if user.email_proven else None
    return Contact(user.id, user.username, email, user.proven_phone, user.locale)
