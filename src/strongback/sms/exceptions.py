"""Errors of messages and codes.

BadGateway
├── SmsFailed         502 12001
└── SmsRefused        502 12002
GatewayTimeout
└── SmsTimeout        504 12003
ServiceUnavailable
├── SmsUnavailable    503 12004
└── SmsBudgetSpent    503 12005
TooManyRequests
└── SmsLimitReached   429 12006
ValidationFailed
├── PhoneNotServed    422 12007
└── WrongCode         422 12008
"""

from strongback.exceptions import (
    BadGateway,
    GatewayTimeout,
    ServiceUnavailable,
    TooManyRequests,
    ValidationFailed,
)


class SmsFailed(BadGateway):
    """The SMS provider is overloaded or unreachable, and may accept the message later."""

    error_code = 12001
    message = "The SMS provider could not take the message: {reason}."


class SmsRefused(BadGateway):
    """The SMS provider refuses the message."""

    error_code = 12002
    message = "The SMS provider refused the message: {reason}."


class SmsTimeout(GatewayTimeout):
    """The SMS provider did not respond in time; the message may have been sent."""

    error_code = 12003
    message = "The SMS provider did not answer in time."


class SmsUnavailable(ServiceUnavailable):
    """No SMS provider is configured; outside production messages appear on the console."""

    error_code = 12004
    message = "Messages cannot be sent here: no SMS provider is configured."


class SmsBudgetSpent(ServiceUnavailable):
    """Everybody together has been sent the day's `SMS_DAILY_BUDGET` of messages."""

    error_code = 12005
    message = "No more messages are sent today. Sign in another way, or try again tomorrow."


class SmsLimitReached(TooManyRequests):
    """The number was sent a code a moment ago, or number or address have had their day's share."""

    error_code = 12006
    message = "Too many codes were asked for. Wait before you ask for another one."


class PhoneNotServed(ValidationFailed):
    """The number's country is not among `SMS_PREFIXES`."""

    error_code = 12007
    message = "No messages are sent to this country."


class WrongCode(ValidationFailed):
    """The code is not this number's, expired, used, or was guessed at too often."""

    error_code = 12008
    message = "The code is wrong or no longer valid. Request a new one."
