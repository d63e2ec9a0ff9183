"""Verifying e-mail addresses by a link."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select

from app.user.exceptions import NoEmail, UserNotFound
from app.user.model import User, fold_email
from app.user.service import UserService
from strongback.auth.principal import Principal
from strongback.database import transactional
from strongback.log.setup import get_logger
from strongback.mail import MailService
from strongback.mail.exceptions import MailUnavailable
from strongback.mail.one_time_token import wrong_token

log = get_logger(__name__)

PURPOSE = "email"
LIFETIME = timedelta(hours=24)
"""Lifetime of a link."""
PATH = "/account/email"


class EmailProof:
    """Mails links that verify addresses.

    Args:
        users: Looks up accounts.
        mails: Sends the links.
    """

    def __init__(self, users: UserService, mails: MailService) -> None:
        self.database = users.database
        self._users = users
        self._mails = mails

    def request(self, principal: Principal) -> None:
        """Mail a link to the address of the caller, unless it is verified.

        Raises:
            MailUnavailable: No mail server is configured.
            NoEmail: The account has no address.
            MailLimitReached: The address has had too many messages within the hour.
        """
        if not self._mails.is_sending:
            raise MailUnavailable
        self._request(principal.user_id)

    @transactional
    def _request(self, user_id: int) -> None:
        user = self.database.session.get(User, user_id)
        if user is None:
            raise UserNotFound
        if user.email is None:
            raise NoEmail
        if user.email_proven:
            return
        nonce = self._mails.tokens.issue(PURPOSE, user.id, user.email, LIFETIME)
        data = {"username": user.username}
        if not self._mails.emit(
            "email_proof", user.email, user.locale, data, path=PATH, nonce=nonce
        ):
            raise self._mails.quotas.refusal()
        log.info("email_proof_requested", user_id=user.id)

    def find(self, token: str) -> User:
        """The account whose address a link verifies; changes nothing.

        Raises:
            WrongToken: The link is wrong, expired or used, or the address was changed.
        """
        user = self.database.session.get(User, self._mails.tokens.find(PURPOSE, token))
        if user is None or user.email is None:
            raise wrong_token()
        self._mails.tokens.check(PURPOSE, token, user.email)
        return user

    @transactional
    def confirm(self, token: str) -> User:
        """Verify an address by its link.

        The account that had the address loses it: addresses change hands, and the link went to the
        current owner.

        Raises:
            WrongToken: The link is wrong, expired or used, or the address was changed.
        """
        user = self._users.locked(self.find(token).id)
        self._mails.tokens.redeem(PURPOSE, token, user.email or "")
        address = fold_email(user.email or "")
        others = (User.proven_email == address) & (User.id != user.id)
        session = self.database.session
        for other in session.scalars(select(User).where(others).with_for_update()):
            other.proven_email = None
        session.flush()  # before somebody else has the address
        user.proven_email = address
        log.info("email_proven", user_id=user.id)
        return user
