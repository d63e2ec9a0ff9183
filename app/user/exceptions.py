"""Errors of the user slice.

NotFound
└── UserNotFound      404 20001
AlreadyExists
└── UsernameTaken     409 20002
ValidationFailed
└── WrongPassword     422 20003
Conflict
├── OwnAccount        409 20004
└── OwnFollow         409 20005
"""

from strongback.exceptions import AlreadyExists, Conflict, NotFound, ValidationFailed


class UserNotFound(NotFound):
    """No account has this name."""

    error_code = 20001
    message = "The user was not found."


class UsernameTaken(AlreadyExists):
    """Another account has this name, perhaps written otherwise."""

    error_code = 20002
    message = "The username is already taken."


class WrongPassword(ValidationFailed):
    """The current password, asked for once more, is not this one."""

    error_code = 20003
    message = "The current password is wrong."


class OwnAccount(Conflict):
    """Administrators cannot lock themselves out; another one has to do it."""

    error_code = 20004
    message = "You cannot disable your own account or give up your own administration."


class OwnFollow(Conflict):
    """Whoever follows an account hears of what it publishes, which its owner knows."""

    error_code = 20005
    message = "You cannot follow yourself."
