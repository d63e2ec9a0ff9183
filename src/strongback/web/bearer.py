"""Reads an Authorization header (RFC 6750, section 2.1)."""

from __future__ import annotations

from strongback.auth.exceptions import CHALLENGE
from strongback.auth.principal import Principal
from strongback.auth.session_service import SessionService
from strongback.auth.token import AccessTokens, InvalidToken
from strongback.exceptions import Unauthorized
from strongback.web.guard import Authenticate

_REJECTED = (
    f'{CHALLENGE}, error="invalid_token",'
    ' error_description="The access token is invalid or has expired."'
)


def bearer(tokens: AccessTokens, sessions: SessionService) -> Authenticate:
    """Return the function that authenticates an Authorization header."""

    def authenticate(header: str) -> Principal:
        scheme, _, token = header.partition(" ")
        if scheme.lower() != "bearer":
            raise Unauthorized(headers={"WWW-Authenticate": CHALLENGE})
        try:
            access = tokens.verify(token.strip(" "))
            principal = sessions.principal(access.user_id, access.session_id, access.scope)
        except InvalidToken:
            principal = None
        if principal is None:
            # The same message for every reason: a forger learns nothing from it.
            raise Unauthorized(
                "The access token is invalid or has expired.",
                headers={"WWW-Authenticate": _REJECTED},
            )
        return principal

    return authenticate
