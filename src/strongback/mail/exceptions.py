"""Errors of mail, and of the tokens in its links.

BadGateway
├── MailFailed        502 15001
└── MailRefused       502 15002
ServiceUnavailable
└── MailUnavailable   503 15003
TooManyRequests
└── MailLimitReached  429 15004
ValidationFailed
└── WrongToken        422 15005
"""

from strongback.exceptions import (
    BadGateway,
    ServiceUnavailable,
    TooManyRequests,
    ValidationFailed,
)


class MailFailed(BadGateway):
    """The mail server is unreachable or busy, and may accept the message later."""

    error_code = 15001
    message = "The mail server could not take the message: {reason}."


class MailRefused(BadGateway):
    """The mail server refuses the message for good."""

    error_code = 15002
    message = "The mail server refused the message: {reason}."


class MailUnavailable(ServiceUnavailable):
    """No mail server is configured; outside production messages appear on the console."""

    error_code = 15003
    message = "Mail cannot be sent here: no mail server is configured."


class MailLimitReached(TooManyRequests):
    """The address has had its share of this hour; see `Retry-After`."""

    error_code = 15004
    message = "Too many messages were sent to this address. Wait before you ask for another one."


class WrongToken(ValidationFailed):
    """The token of a link is unknown, expired or used, or the account has changed since."""

    error_code = 15005
    message = "The link is wrong or no longer valid. Request a new one."
