"""Errors of the user slice.

NotFound
└── UserNotFound     404 20001
AlreadyExists
└── UsernameTaken    409 20002
"""

from app.core.exceptions import AlreadyExists, NotFound


class UserNotFound(NotFound):
    """No account has this name."""

    error_code = 20001
    message = "The user was not found."


class UsernameTaken(AlreadyExists):
    """Another account has this name, perhaps written otherwise."""

    error_code = 20002
    message = "The username is already taken."
