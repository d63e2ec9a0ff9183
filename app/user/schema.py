"""Requests and responses of accounts."""

from __future__ import annotations

from typing import Annotated, Literal

from email_validator import EmailNotValidError, validate_email
from pydantic import AfterValidator, BeforeValidator, Field

from app.core.permission import Role
from app.user.model import EMAIL_LENGTH, USERNAME_PATTERN, VERSION_LENGTH
from strongback.schema import (
    MAX_PAGE_SIZE,
    SEEN,
    RequestBody,
    RequestPath,
    RequestQuery,
    Schema,
    Timestamp,
)
from strongback.sms.phone import Phone
from strongback.text import normalize

Username = Annotated[str, Field(pattern=USERNAME_PATTERN, examples=["ada"])]
NewUsername = Annotated[str, Field(min_length=1, max_length=64, examples=["ada"])]
Password = Annotated[str, Field(max_length=1024, json_schema_extra={"format": "password"})]
NewPassword = Annotated[
    str, Field(min_length=8, max_length=1024, json_schema_extra={"format": "password"})
]


def _unify(value: object) -> object:
    # As of names: what an input method writes in fullwidth is the same address.
    return normalize("NFKC", value) if isinstance(value, str) else value


def _check_email(text: str) -> str:
    try:
        return validate_email(text, check_deliverability=False, strict=True).normalized
    except EmailNotValidError:
        raise ValueError("Send one address and nothing else, such as ada@example.org.") from None


Email = Annotated[
    str,
    Field(
        max_length=EMAIL_LENGTH,
        examples=["ada@example.org"],
        json_schema_extra={"format": "email"},
    ),
    SEEN,
    AfterValidator(_check_email),
    BeforeValidator(_unify),
]
"""A normalized e-mail address; its deliverability is not checked."""


Locale = Annotated[str, Field(pattern=r"^[a-z]{2,3}$", examples=["zh"])]
MailToken = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,128}$")]


class UserPath(RequestPath):
    """Path of an account."""

    username: Username
    """Username, in lower case."""


class SessionPath(RequestPath):
    """Path of a session."""

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,22}$")]
    """Id of the session."""


class UserSessionPath(UserPath):
    """Path of a session of an account."""

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,22}$")]
    """Id of the session."""


class SessionQuery(RequestQuery):
    """Page of a list of sessions."""

    page: Annotated[int, Field(ge=1, le=MAX_PAGE_SIZE)] = 1
    """Page number, starting at 1."""
    page_size: Annotated[int, Field(ge=1, le=MAX_PAGE_SIZE)] = 20
    """Entries per page."""


class AvatarQuery(RequestQuery):
    """Size of a picture."""

    size: Literal["small", "large"] = "small"
    """`small` has 64 pixels a side, `large` 256."""
    v: Annotated[str, Field(max_length=VERSION_LENGTH)] = ""
    """Changes with the picture, so that no cache shows the one before."""


class UserIn(RequestBody):
    """A new account."""

    username: NewUsername
    """Username: 3 to 32 of a-z, 0-9, hyphen and underscore. Capitals become lower case."""
    password: NewPassword
    """Password of 8 to 128 characters; common ones are rejected."""
    email: Email | None = None
    """E-mail address, visible to the owner only."""
    phone: Phone | None = None
    """Telephone number with country code, visible to the owner only."""


class ProfileIn(RequestBody):
    """Changes to your account; fields that are left out keep their values."""

    email: Email | None = None
    """E-mail address; null removes it. A new one has to be verified anew."""
    phone: Phone | None = None
    """Telephone number with country code; null removes it."""
    locale: Locale = "en"
    """Language of mail to you, such as `en` or `zh`; needs no password."""
    current_password: Password | None = None
    """Current password; optional within five minutes after signing in."""


class PasswordIn(RequestBody):
    """A change of password."""

    current_password: Password | None = None
    """Current password; optional within five minutes after signing in."""
    new_password: NewPassword
    """New password of 8 to 128 characters; common ones are rejected."""


class PhoneIn(RequestBody):
    """A telephone number, and the code that verifies it."""

    phone: Phone
    """Telephone number with country code; replaces the current one."""
    code: Annotated[str, Field(pattern=r"^[0-9]{6}$", examples=["123456"])]
    """Code from the text message."""
    handle: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    """`handle` in the response of `/auth/sms-codes` with `"purpose": "phone"`."""
    current_password: Password | None = None
    """Current password; optional within five minutes after signing in."""


class ForgottenIn(RequestBody):
    """A forgotten password."""

    account: Annotated[str, Field(min_length=1, max_length=EMAIL_LENGTH, examples=["ada"])]
    """Username, or verified e-mail address."""


class TokenIn(RequestBody):
    """The token in the link of a message."""

    token: MailToken
    """Token, good for one use."""


class ResetIn(TokenIn):
    """A new password in the place of a forgotten one."""

    new_password: NewPassword
    """New password of 8 to 128 characters; common ones are rejected."""


class MailSentOut(Schema):
    """A message that is being sent."""

    expires_in: int
    """Lifetime of its link in seconds."""


class RolesIn(RequestBody):
    """Roles of an account."""

    roles: Annotated[list[Annotated[Role, Field(strict=False)]], Field(max_length=len(Role))]
    """Roles, replacing all current ones."""


class AccountChange(RequestBody):
    """Changes to an account by an administrator."""

    disabled: bool
    """True disables the account: nobody can sign in, and all its sessions end."""


class UserOut(Schema):
    """An account, as visible to everybody."""

    id: int
    """Id of the account."""
    username: str
    """Username of the account."""
    avatar_url: str | None
    """Address of its picture below this server; null if it has none."""
    created_at: Timestamp
    """Time of registration."""


class ProfileOut(UserOut):
    """An account, as visible to its owner."""

    roles: list[Role]
    """Roles of the account."""
    email: str | None
    """E-mail address."""
    email_proven: bool
    """Whether the address was verified by a link; if so, you get mail."""
    phone: str | None
    """Telephone number."""
    phone_proven: bool
    """Whether the number was verified by a code; if so, it can be used to sign in."""
    locale: str
    """Language of mail to you."""
    password_changed_at: Timestamp | None
    """Time of the last change of password; null if never changed."""


class AccountOut(UserOut):
    """An account, as visible to administrators."""

    roles: list[Role]
    """Roles of the account."""
    disabled: bool
    """Whether the account is disabled."""


class SessionOut(Schema):
    """A session: one device that is signed in."""

    id: str
    """Id of the session."""
    client_id: str
    """Client id of the application."""
    scope: list[str] | None
    """Permissions that the session is limited to; null for all of the account's."""
    user_agent: str
    """User-Agent header at sign-in."""
    address: str
    """IP address of the last token request."""
    created_at: Timestamp
    """Time of the sign-in."""
    last_used_at: Timestamp
    """Time of the last token request."""
    expires_at: Timestamp
    """Expiry time; each token request extends it."""
    current: bool = False
    """Whether it is the session of this request."""
