"""Errors of notifications.

StrongbackError
└── InvalidNotification              a mistake in the code that sends it
ValidationFailed
└── SecurityNotification    422 16001
"""

from strongback.exceptions import StrongbackError, ValidationFailed


class InvalidNotification(StrongbackError):
    """A notification that cannot be sent as it is; the message says why."""


class SecurityNotification(ValidationFailed):
    """A notification about the security of an account cannot be switched off."""

    error_code = 16001
    message = "Notifications about the security of your account cannot be switched off."
