"""Signing in by a code from a text message."""

from __future__ import annotations

from typing import ClassVar, Self, cast

from strongback.auth.account import Account
from strongback.oauth.grant import SignIn
from strongback.sms.code import CodePurpose, SmsCodes
from strongback.sms.phone import parse_phone


class SmsCodeGrant(SignIn):
    """An extension grant (RFC 6749, section 4.5): a code that was sent to a telephone number.

    Only a verified number works: anybody could enter the number of somebody else, to lure them into
    an account that is not theirs.
    """

    GRANT_TYPE = "urn:strongback:params:oauth:grant-type:sms-code"
    PARAMETERS = ("phone", "code", "handle")
    codes: ClassVar[SmsCodes]

    @classmethod
    def using(cls, codes: SmsCodes) -> type[Self]:
        """Return a grant class for these codes, to register with a server."""
        return cast("type[Self]", type(cls.__name__, (cls,), {"codes": codes}))

    def authenticate(self, *proof: str) -> Account | None:
        """Return the account with this number if the code is right."""
        number, code, handle = proof
        phone = parse_phone(number)
        if phone is None or not self.codes.is_right(handle, phone, CodePurpose.SIGN_IN, code):
            return None
        return self.server.accounts.account_of_phone(phone)
