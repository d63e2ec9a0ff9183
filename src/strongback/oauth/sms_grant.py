"""Signing in by a code that came to a telephone."""

from __future__ import annotations

from typing import ClassVar, Self, cast

from strongback.auth.account import Account
from strongback.oauth.grant import SignIn
from strongback.sms.code import Purpose, SmsCodes
from strongback.sms.phone import parse_phone


class SmsCodeGrant(SignIn):
    """A grant of our own (RFC 6749, section 4.5): for whoever has an account's telephone in hand.

    The account is the one that has proven the number. A number that an account merely claims signs
    nobody in: anybody could claim it, to lure its owner into an account that is not theirs.
    """

    GRANT_TYPE = "urn:strongback:params:oauth:grant-type:sms-code"
    PARAMETERS = ("phone", "code", "handle")
    codes: ClassVar[SmsCodes]

    @classmethod
    def using(cls, codes: SmsCodes) -> type[Self]:
        """The grant for these codes, to be registered with a server; it makes its grants itself."""
        return cast("type[Self]", type(cls.__name__, (cls,), {"codes": codes}))

    def authenticate(self, *proof: str) -> Account | None:
        """The account of this number, if the code is its."""
        number, code, handle = proof
        phone = parse_phone(number)
        if phone is None or not self.codes.is_right(handle, phone, Purpose.SIGN_IN, code):
            return None
        return self.server.accounts.account_of_phone(phone)
