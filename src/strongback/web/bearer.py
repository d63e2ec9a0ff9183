"""Reads an Authorization header (RFC 6750, section 2.1)."""

from __future__ import annotations

from strongback.auth.authenticator import Authenticator
from strongback.auth.exceptions import CHALLENGE
from strongback.auth.principal import Principal
from strongback.auth.token import InvalidToken
from strongback.exceptions import Unauthorized
from strongback.web.guard import Authenticate

_REJECTED = (
    f'{CHALLENGE}, error="invalid_token",'
    ' error_description="The access token is invalid or has expired."'
)


def bearer(authenticator: Authenticator) -> Authenticate:
    """Return the function that authenticates an Authorization header."""

    def authenticate(header: str) -> Principal:
        scheme, _, token = header.partition(" ")
        if scheme.lower() != "bearer":
            raise Unauthorized(headers={"WWW-Authenticate": CHALLENGE})
        try:
            return authenticator.principal_of(token.strip(" "))
        except InvalidToken as error:
            # The same message for every reason: a forger learns nothing from it.
            raise Unauthorized(
                "The access token is invalid or has expired.",
                headers={"WWW-Authenticate": _REJECTED},
            ) from error

    return authenticate
