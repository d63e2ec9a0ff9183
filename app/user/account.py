"""Changes to accounts that affect their sessions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import select

from app.core.permission import Role
from app.user.exceptions import OwnAccount, UserNotFound, WrongPassword
from app.user.model import User, fold_email
from app.user.service import UserService
from strongback.auth.exceptions import SignInTooOld
from strongback.auth.password import verify_password
from strongback.auth.principal import Principal
from strongback.auth.session_service import SessionService
from strongback.database import Database, transactional, utc_now
from strongback.log.setup import get_logger
from strongback.notification.kind import Kind
from strongback.notification.sender import Notifications
from strongback.precondition import ANY, Expected
from strongback.sms.code import CodePurpose, SmsCodes
from strongback.sms.exceptions import SmsUnavailable, WrongCode

log = get_logger(__name__)

PASSWORD_CHANGED = Kind(
    "account:password-changed",
    about="The password of your account is changed.",
    text="Your password was changed.",
    body="Your password was changed at {at}. If it was not you, replace it at once.",
    is_security=True,
)


class AccountService:
    """Changes by owners to their accounts, and by administrators to any."""

    def __init__(
        self,
        database: Database,
        users: UserService,
        sessions: SessionService,
        codes: SmsCodes | None,
        notifications: Notifications | None = None,
    ) -> None:
        self.database = database
        self.users = users
        self.sessions = sessions
        self.codes = codes
        self._notifications = notifications

    def own(self, principal: Principal) -> User:
        """The account of the caller."""
        user = self.database.session.get(User, principal.user_id)
        if user is None:  # gone since the request began
            raise UserNotFound
        return user

    def confirm(self, principal: Principal, password: str | None = None) -> None:
        """Confirm that the owner of the account makes the request, before a critical change.

        An access token is not enough, since a device may be stolen. It takes the password or a
        recent sign-in.

        Raises:
            WrongPassword: The password is wrong.
            SignInTooOld: There is no password, and the last sign-in is too long ago.
        """
        if password is None:
            if not principal.has_signed_in_recently:
                raise SignInTooOld
        elif not verify_password(self.own(principal).password_hash, password):
            log.warning("password_refused", user_id=principal.user_id)
            raise _wrong_password()

    def change_profile(
        self,
        principal: Principal,
        changes: dict[str, Any],
        password: str | None = None,
        expected: Expected = ANY,
    ) -> User:
        """Change `email`, `phone` or `locale`.

        Raises:
            WrongPassword: The password is wrong.
            SignInTooOld: There is no password, and the last sign-in is too long ago.
            PreconditionFailed: The account has changed since it was read.
        """
        if changes.keys() - {"locale"}:
            self.confirm(principal, password)
        return self._change_profile(principal, changes, expected)

    @transactional
    def _change_profile(
        self, principal: Principal, changes: dict[str, Any], expected: Expected
    ) -> User:
        user = self.users.locked(principal.user_id)
        expected.check(user.validators.etag)
        for name in changes.keys() & {"email", "phone", "locale"}:
            setattr(user, name, changes[name])
        if fold_email(user.email or "") != user.proven_email:
            user.proven_email = None
        if user.phone != user.proven_phone:
            user.proven_phone = None
        if changes:
            log.info("contacts_changed", user_id=user.id, changed=sorted(changes))
        return user

    def prove_phone(
        self, principal: Principal, phone: str, handle: str, code: str, password: str | None
    ) -> User:
        """Verify a telephone number by a code, so that it can be used to sign in.

        The account that had the number loses it: numbers change hands, and the code went to the
        current owner.

        Raises:
            WrongPassword: The password is wrong.
            SignInTooOld: There is no password, and the last sign-in is too long ago.
            WrongCode: The code is wrong.
            SmsUnavailable: No sender of messages is configured.
        """
        self.confirm(principal, password)
        if self.codes is None:
            raise SmsUnavailable
        if not self.codes.is_right(handle, phone, CodePurpose.PHONE, code):
            message = WrongCode.message
            raise WrongCode(errors=[{"field": "body.code", "message": message, "type": "code"}])
        user = self._own_phone(principal.user_id, phone)
        log.info("phone_proven", user_id=user.id)
        return user

    @transactional
    def _own_phone(self, user_id: int, phone: str) -> User:
        others = (User.proven_phone == phone) & (User.id != user_id)
        session = self.database.session
        for other in session.scalars(select(User).where(others).with_for_update()):
            other.proven_phone = None
        session.flush()  # before somebody else has the number
        user = self.users.locked(user_id)
        user.phone = user.proven_phone = phone
        return user

    def change_password(self, principal: Principal, current: str | None, new: str) -> None:
        """Change the password, and end all other sessions.

        Raises:
            WrongPassword: The password is wrong.
            SignInTooOld: There is no password, and the last sign-in is too long ago.
            ValidationFailed: The new password is too easy to guess.
        """
        user = self.own(principal)
        stored = user.password_hash
        self.confirm(principal, current)
        hashed = self.users.hash_new(new, "body.new_password", user.username, user.email)
        self._replace_password(principal, stored, hashed)
        log.info("password_changed", user_id=principal.user_id)

    @transactional
    def _replace_password(self, principal: Principal, stored: str | None, hashed: str) -> None:
        user = self.users.locked(principal.user_id)
        if user.password_hash != stored:  # two at once: the current one was right, and is not now
            raise _wrong_password()
        user.password_hash, user.password_changed_at = hashed, utc_now()
        self.sessions.revoke_all(user.id, keep=principal.session_id)
        self.tell_password_changed(user)

    def tell_password_changed(self, user: User) -> None:
        """Notify the owner of an account of its new password."""
        if self._notifications is None or user.password_changed_at is None:
            return
        moment = user.password_changed_at
        subject, at = f"password:{moment:%Y%m%d%H%M%S%f}", f"{moment:%Y-%m-%d %H:%M} UTC"
        self._notifications.send(PASSWORD_CHANGED, subject, to=[user.id], data={"at": at})

    @transactional
    def set_roles(self, principal: Principal, username: str, roles: Iterable[Role]) -> User:
        """Set the roles of an account; its tokens follow within a second.

        Raises:
            UserNotFound: The account does not exist.
            OwnAccount: Administrators cannot remove their own role.
        """
        user = self.users.get(username)
        wanted = [role for role in Role if role in set(roles)]
        if user.id == principal.user_id and Role.ADMIN not in wanted:
            raise OwnAccount
        user.roles = [role.value for role in wanted]
        self.sessions.forget()
        log.info("roles_changed", user_id=user.id, roles=user.roles, by=principal.user_id)
        return user

    @transactional
    def set_disabled(self, principal: Principal, username: str, *, disabled: bool) -> User:
        """Disable an account and end its sessions, or enable it.

        Raises:
            UserNotFound: The account does not exist.
            OwnAccount: Administrators cannot disable their own account.
        """
        user = self.users.locked(self.users.get(username).id)
        if user.id == principal.user_id and disabled:
            raise OwnAccount
        user.disabled = disabled
        if disabled:
            self.sessions.revoke_all(user.id)
        log.info(
            "account_disabled" if disabled else "account_enabled",
            user_id=user.id,
            by=principal.user_id,
        )
        return user

    def end_session(self, principal: Principal, session_id: str) -> None:
        """End a session of the caller.

        Raises:
            SignInTooOld: The last sign-in is too long ago to end other sessions.
            NotFound: There is no such active session.
        """
        if session_id != principal.session_id:
            self.confirm(principal)
        self.sessions.revoke_own(principal.user_id, session_id)

    def end_other_sessions(self, principal: Principal) -> None:
        """End all other sessions of the caller.

        Raises:
            SignInTooOld: The last sign-in is too long ago.
        """
        self.confirm(principal)
        self.sessions.revoke_all(principal.user_id, keep=principal.session_id)

    def end_sessions(self, principal: Principal, username: str, session_id: str | None) -> None:
        """End one or all sessions of an account, as an administrator.

        Raises:
            UserNotFound: The account does not exist.
            NotFound: The account has no such active session.
        """
        user = self.users.get(username)
        if session_id is None:
            self.sessions.revoke_all(user.id)
        else:
            self.sessions.revoke_own(user.id, session_id)
        log.info("sessions_ended", user_id=user.id, session=session_id, by=principal.user_id)


def _wrong_password() -> WrongPassword:
    message = WrongPassword.message
    return WrongPassword(
        errors=[{"field": "body.current_password", "message": message, "type": "password"}]
    )
