"""Routes of verified addresses and forgotten passwords."""

from __future__ import annotations

from app.core.permission import Permission
from app.user import email_proof, password_reset
from app.user.email_proof import EmailProof
from app.user.password_reset import PasswordReset
from app.user.schema import ForgottenIn, MailSentOut, ResetIn, TokenIn
from strongback.auth.principal import Principal
from strongback.mail.exceptions import WrongToken
from strongback.web import APIBlueprint, client_address, inject, limited, needs, public
from strongback.web.limit import principal as principal_key
from strongback.web.limit import welcome

api = APIBlueprint("account_mail", __name__, url_prefix="/api/v1", tag="users")
proofs = inject(EmailProof)
resets = inject(PasswordReset)


@api.post("/users/me/email/verification", responses={202: MailSentOut})
@needs(Permission.PROFILE_WRITE)
@limited("10/hour", key=principal_key, on_outage="closed")
def request_email_proof(principal: Principal) -> tuple[dict[str, int], int]:
    """Send a link to your e-mail address that verifies it; if it is verified, nothing is sent."""
    proofs.request(principal)
    return {"expires_in": int(email_proof.LIFETIME.total_seconds())}, 202


@api.post("/users/me/email/verification/confirmation", responses={204: None})
@public
@limited("60/hour", key=client_address, on_outage="closed", counts=WrongToken, name="mail-token")
def confirm_email_proof(body: TokenIn) -> None:
    """Verify an e-mail address by the token in the link; needs no sign-in."""
    proofs.confirm(body.token)


@api.post("/auth/password/forgotten", responses={202: MailSentOut})
@public
@limited("30/hour", key=client_address, on_outage="closed", name="password-forgotten")
def request_password_reset(body: ForgottenIn) -> tuple[dict[str, int], int]:
    """Send a link that replaces a forgotten password to the verified address of an account.

    The response does not tell whether there is such an account.
    """
    resets.request(body.account)
    return {"expires_in": int(password_reset.LIFETIME.total_seconds())}, 202


@api.post("/auth/password/reset", responses={204: None})
@public
@limited("60/hour", key=client_address, on_outage="closed", counts=WrongToken, name="mail-token")
def reset_password(body: ResetIn) -> None:
    """Replace a forgotten password by the token in the link, and sign out all devices."""
    welcome(resets.reset(body.token, body.new_password).username)
