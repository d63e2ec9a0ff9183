"""Errors of the user slice.

NotFound
└── UserNotFound      404 20001
AlreadyExists
└── UsernameTaken     409 20002
ValidationFailed
└── WrongPassword     422 20003
Conflict
├── OwnAccount        409 20004
├── OwnFollow         409 20005
└── NoEmail           409 20006
"""

from strongback.exceptions import AlreadyExists, Conflict, NotFound, ValidationFailed


class UserNotFound(NotFound):
    """No account has this username."""

    error_code = 20001
    message = "The user was not found."


class UsernameTaken(AlreadyExists):
    """Another account has this username, perhaps in another spelling."""

    error_code = 20002
    message = "The username is already taken."


class WrongPassword(ValidationFailed):
    """The current password in the request is wrong."""

    error_code = 20003
    message = "The current password is wrong."


class OwnAccount(Conflict):
    """Administrators cannot lock themselves out; another administrator has to do it."""

    error_code = 20004
    message = "You cannot disable your own account or give up your own administration."


class OwnFollow(Conflict):
    """Accounts cannot follow themselves."""

    error_code = 20005
    message = "You cannot follow yourself."


class NoEmail(Conflict):
    """The account has no e-mail address that could be verified."""

    error_code = 20006
    message = "Your account has no e-mail address. Set one first."
