"""Route that sends a code by text message."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from strongback.auth.session_service import SessionService
from strongback.schema import RequestBody, Schema
from strongback.sms.code import INTERVAL, LIFETIME, CodePurpose, SmsCodes
from strongback.sms.phone import Phone
from strongback.web.blueprint import APIBlueprint
from strongback.web.guard import public
from strongback.web.injection import inject
from strongback.web.limit import client_address, limited, network_of
from strongback.web.request import current_request

# Not the OAuth server's blueprint: this one's errors are those of everybody else.
api = APIBlueprint("sb_sms", __name__, url_prefix="/auth", tag="sms")
codes = inject(SmsCodes)
sessions = inject(SessionService)


class SmsCodeIn(RequestBody):
    """A request for a code by text message."""

    phone: Phone
    """Telephone number with country code."""
    purpose: Annotated[CodePurpose, Field(strict=False)] = CodePurpose.SIGN_IN
    """Purpose of the code: `sign-in`, or `phone` to verify your telephone number."""


class SmsCodeOut(Schema):
    """A code that is being sent."""

    handle: str
    """Handle to send together with the code."""
    expires_in: int
    """Lifetime of the code in seconds."""
    retry_after: int
    """Seconds until the number can get another code."""


@api.post("/sms-codes", responses={202: SmsCodeOut})
@public
@limited("30/minute", key=client_address, on_outage="closed")
def send_sms_code(body: SmsCodeIn) -> tuple[dict[str, str | int], int]:
    """Send a code by text message, to sign in or to verify a telephone number.

    The response does not tell whether an account has this number.
    """
    network = client_address(current_request())
    handle = codes.request(
        body.phone, body.purpose, network, lambda: _is_owner(body.phone, network)
    )
    return {
        "handle": handle,
        "expires_in": int(LIFETIME.total_seconds()),
        "retry_after": int(INTERVAL.total_seconds()),
    }, 202


def _is_owner(phone: str, network: str) -> bool:
    account = sessions.accounts.account_of_phone(phone)
    return account is not None and network in map(network_of, sessions.addresses(account.id))
