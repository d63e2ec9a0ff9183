"""What Tencent Cloud's error codes mean for a message: try again, or not, and why.

Source: the lists of the API's version 2021-01-11, "SendSms" (cloud.tencent.com/document/api/382,
pages 55981, 59177 and, for codes of every API, 52075), repeated in the SDK's
`sms/v20210111/errorcodes.py`. A request as a whole fails with one of them, and so does a number.
"""

from __future__ import annotations

from enum import StrEnum


class Cause(StrEnum):
    """Why a message was not taken."""

    BUSY = "busy"
    """The provider, for a moment: the same message may be taken in a minute."""
    NUMBER = "number"
    """The number: wrong, not served, or its owner wants no messages."""
    LIMIT = "limit"
    """A limit at the provider that a minute does not lift."""
    SETUP = "setup"
    """Credentials, balance, signature, template, code: a person has to act."""

    @property
    def is_passing(self) -> bool:
        """Whether another try is worth it."""
        return self is Cause.BUSY


CAUSES: dict[str, Cause] = {
    # Families, for codes that are not listed below; in others a person has to act.
    "InternalError": Cause.BUSY,
    "LimitExceeded": Cause.LIMIT,
    "RequestLimitExceeded": Cause.BUSY,
    "ResourceInsufficient": Cause.BUSY,
    "ResourceUnavailable": Cause.BUSY,
    # The number.
    "FailedOperation.PhoneNumberInBlacklist": Cause.NUMBER,
    "FailedOperation.PhoneNumberParseFail": Cause.NUMBER,
    "InvalidParameterValue.IncorrectPhoneNumber": Cause.NUMBER,
    "LimitExceeded.AppCountryOrRegionInBlacklist": Cause.NUMBER,
    "UnsupportedOperation.ChineseMainlandTemplateToGlobalPhone": Cause.NUMBER,
    "UnsupportedOperation.ContainDomesticPhoneNumber": Cause.NUMBER,
    "UnsupportedOperation.GlobalTemplateToChineseMainlandPhone": Cause.NUMBER,
    "UnsupportedOperation.UnsupportedRegion": Cause.NUMBER,
    # Limits of seconds; those of an hour or a day outlive the code that the message carries.
    "LimitExceeded.DeliveryFrequencyLimit": Cause.BUSY,
    "LimitExceeded.GlobalSmsSendingRateLimit": Cause.BUSY,
    "LimitExceeded.PhoneNumberThirtySecondLimit": Cause.BUSY,
    # Our own fault: one number is sent at a time.
    "LimitExceeded.PhoneNumberCountLimit": Cause.SETUP,
    # "Internal" by name, and about the request: its signature, its clock, its form.
    "InternalError.JsonParseFail": Cause.SETUP,
    "InternalError.RequestTimeException": Cause.SETUP,
    "InternalError.RestApiInterfaceNotExist": Cause.SETUP,
    "InternalError.SigFieldMissing": Cause.SETUP,
    "InternalError.SigVerificationFail": Cause.SETUP,
}


def cause_of(code: str) -> Cause:
    """The cause that a code stands for: by itself, by its family, else one for a person."""
    family, _, _ = code.partition(".")
    return CAUSES.get(code) or CAUSES.get(family) or Cause.SETUP
