"""What is asked and said about accounts."""

from __future__ import annotations

from typing import Annotated

from email_validator import EmailNotValidError, validate_email
from pydantic import AfterValidator, BeforeValidator, Field

from app.core.permission import Role
from app.user.model import EMAIL_LENGTH, USERNAME_PATTERN
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
"""An address in its one spelling. Whether it can be reached is not asked: that takes a network."""


class UserPath(RequestPath):
    """Names one account."""

    username: Username
    """The account's name, in lower case."""


class SessionPath(RequestPath):
    """Names one session."""

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,22}$")]
    """The session's id."""


class UserSessionPath(UserPath):
    """Names one session of an account."""

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,22}$")]
    """The session's id."""


class SessionQuery(RequestQuery):
    """Which page of the sessions is wanted."""

    page: Annotated[int, Field(ge=1, le=MAX_PAGE_SIZE)] = 1
    """Number of the page, from 1."""
    page_size: Annotated[int, Field(ge=1, le=MAX_PAGE_SIZE)] = 20
    """Entries on a page."""


class UserIn(RequestBody):
    """A new account."""

    username: NewUsername
    """3 to 32 of a-z, 0-9, hyphen and underscore; capitals are folded."""
    password: NewPassword
    """8 to 128 characters, and not a common one."""
    email: Email | None = None
    """An address; nobody else sees it."""
    phone: Phone | None = None
    """A number with its country; nobody else sees it."""


class ProfileIn(RequestBody):
    """What changes of one's own account; what is left out stays as it is."""

    email: Email | None = None
    """An address; null removes it."""
    phone: Phone | None = None
    """A number with its country; null removes it."""
    current_password: Password | None = None
    """The password, unless the sign-in was in the last five minutes."""


class PasswordIn(RequestBody):
    """A change of password."""

    current_password: Password | None = None
    """The password until now; may be left out in the first five minutes after signing in."""
    new_password: NewPassword
    """The password from now on: 8 to 128 characters, and not a common one."""


class PhoneIn(RequestBody):
    """A number and the proof that it is one's own."""

    phone: Phone
    """The number, in place of the one until now."""
    code: Annotated[str, Field(pattern=r"^[0-9]{6}$", examples=["123456"])]
    """What `/auth/sms-codes` sent to it."""
    handle: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    """What `/auth/sms-codes` answered, asked with `"purpose": "phone"`."""
    current_password: Password | None = None
    """The password, since the number will sign in to the account as well; may be left out in the
    first five minutes after signing in."""


class RolesIn(RequestBody):
    """What an account is to be trusted with."""

    roles: Annotated[list[Annotated[Role, Field(strict=False)]], Field(max_length=len(Role))]
    """All its roles; those it has and are not named are taken away."""


class AccountChange(RequestBody):
    """What an administrator changes of an account."""

    disabled: bool
    """Whether it is closed: nobody can sign in, and every session of it ends."""


class UserOut(Schema):
    """An account as everybody sees it."""

    id: int
    """Number of the account."""
    username: str
    """Name of the account."""
    created_at: Timestamp
    """When it was registered."""


class ProfileOut(UserOut):
    """An account as its owner sees it."""

    roles: list[Role]
    """What it is trusted with."""
    email: str | None
    """The address given, unproven."""
    phone: str | None
    """The number given."""
    phone_proven: bool
    """Whether a code has proven it, so that it can be signed in with."""
    password_changed_at: Timestamp | None
    """When the password was last replaced; null if never."""


class AccountOut(UserOut):
    """An account as administrators see it."""

    roles: list[Role]
    """What it is trusted with."""
    disabled: bool
    """Whether it is closed."""


class SessionOut(Schema):
    """A device that is signed in."""

    id: str
    """The session's id."""
    client_id: str
    """The application that it was opened with."""
    scope: list[str] | None
    """Permissions that it is narrowed to; null for everything that the account may do."""
    user_agent: str
    """What the device said it is when it signed in."""
    address: str
    """Where it last got a token from."""
    created_at: Timestamp
    """When it signed in."""
    last_used_at: Timestamp
    """When it last got a token."""
    expires_at: Timestamp
    """When it ends unless it gets a new token before."""
    current: bool = False
    """Whether it is the one that is asking."""
