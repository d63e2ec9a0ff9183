"""Replacing forgotten passwords by a link."""

from __future__ import annotations

from datetime import timedelta

from app.user.account import AccountService
from app.user.model import User
from app.user.service import UserService
from strongback.database import transactional, utc_now
from strongback.log.setup import get_logger
from strongback.mail import MailService
from strongback.mail.exceptions import MailUnavailable
from strongback.mail.one_time_token import wrong_token
from strongback.outbox import Outbox
from strongback.web.limit import fold_name

log = get_logger(__name__)

FORGOTTEN = "user:password-forgotten"
"""Topic of the outbox: somebody says that the password of an account is forgotten."""
PURPOSE = "password"
LIFETIME = timedelta(minutes=30)
"""Lifetime of a link."""
HOURLY = 5
"""Requests for an account in an hour, whether or not it exists."""
PATH = "/account/password"


class PasswordReset:
    """Mails links that replace passwords.

    Args:
        accounts: Tells the owner that the password was changed, and ends the sessions.
        mails: Sends the links.
        outbox: Takes the requests.
    """

    def __init__(self, accounts: AccountService, mails: MailService, outbox: Outbox) -> None:
        self.database = accounts.database
        self._accounts = accounts
        self._users: UserService = accounts.users
        self._mails = mails
        self._outbox = outbox

    def request(self, login: str) -> None:
        """Have a link mailed to the owner of an account.

        No account is looked up: the same happens, and takes as long, if there is none.

        Args:
            login: Username, or verified address.

        Raises:
            MailUnavailable: No mail server is configured.
            MailLimitReached: This was asked too often within the hour.
        """
        if not self._mails.is_sending:
            raise MailUnavailable
        self._request(login)

    @transactional
    def _request(self, login: str) -> None:
        if not self._mails.quotas.take(PURPOSE, fold_name(login), HOURLY):
            raise self._mails.quotas.refusal()
        self._outbox.emit(FORGOTTEN, {"login": login})

    @transactional
    def send(self, login: str) -> None:
        """Mail the link, if there is such an account, and its address is verified."""
        user = self._users.find_by_login(login)
        if user is None or user.disabled or not user.email_proven or user.email is None:
            log.info("password_link_not_sent", user_id=user.id if user else None)
            return
        nonce = self._mails.tokens.issue(PURPOSE, user.id, _state(user), LIFETIME)
        data = {"username": user.username}
        address, locale = user.email, user.locale
        self._mails.emit("password_reset", address, locale, data, path=PATH, nonce=nonce)
        log.info("password_link_sent", user_id=user.id)

    def find(self, token: str) -> User:
        """The account whose password a link replaces; changes nothing.

        Raises:
            WrongToken: The link is wrong, expired or used, or the account is disabled, or has
                another password or address since.
        """
        user = self.database.session.get(User, self._mails.tokens.find(PURPOSE, token))
        if user is None or user.disabled:
            raise wrong_token()
        self._mails.tokens.check(PURPOSE, token, _state(user))
        return user

    def reset(self, token: str, new: str) -> User:
        """Replace the password, and end all sessions.

        Raises:
            WrongToken: The link is wrong, expired or used, or the account is disabled, or has
                another password or address since.
            ValidationFailed: The new password is too easy to guess; the link stays valid.
        """
        user = self.find(token)
        # Hashed before the transaction begins, so that no other writer waits for it.
        hashed = self._users.hash_new(new, "body.new_password", user.username, user.email)
        return self._replace(user.id, token, hashed)

    @transactional
    def _replace(self, user_id: int, token: str, hashed: str) -> User:
        user = self._users.locked(user_id)
        if user.disabled:
            raise wrong_token()
        self._mails.tokens.redeem(PURPOSE, token, _state(user))
        user.password_hash, user.password_changed_at = hashed, utc_now()
        self._accounts.sessions.revoke_all(user.id)
        self._accounts.tell_password_changed(user)
        log.info("password_reset", user_id=user.id)
        return user


def _state(user: User) -> str:
    """What voids a link when it changes."""
    return f"{user.proven_email}\0{user.password_hash}"
