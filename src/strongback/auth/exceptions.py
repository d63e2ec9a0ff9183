"""Errors of authentication; those of the OAuth 2 server with their names in RFC 6749, section 5.2.

BadRequest
└── OAuthError                  400 11000
    ├── InvalidRequest          400 11001   invalid_request
    ├── InvalidClient           401 11002   invalid_client
    ├── InvalidGrant            400 11003   invalid_grant
    ├── UnauthorizedClient      400 11004   unauthorized_client
    ├── UnsupportedGrantType    400 11005   unsupported_grant_type
    └── InvalidScope            400 11006   invalid_scope
Unauthorized
└── SignInTooOld                401 11007   insufficient_user_authentication (RFC 9470)
"""

from __future__ import annotations

from typing import Any

from strongback.auth.principal import RECENT
from strongback.exceptions import BadRequest, Unauthorized

CHALLENGE = 'Bearer realm="strongback"'
NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}


class OAuthError(BadRequest):
    """A refused token request; the body also has the members of RFC 6749.

    Its message is in ASCII and without quotation marks.
    """

    error_code = 11000
    error = "invalid_request"
    """Name of the error in RFC 6749."""

    def __init__(
        self, message: str | None = None, **options: Any  # noqa: ANN401  those of `APIException`
    ) -> None:
        super().__init__(message, **options)
        self.headers = NO_STORE | self.headers
        self.extra = {"error": self.error, "error_description": str(self)}


class InvalidRequest(OAuthError):
    """A parameter is missing, repeated or malformed."""

    error_code = 11001
    message = "A parameter is missing, repeated or malformed."


class InvalidClient(OAuthError):
    """The client is unknown, or sent a secret although it has none."""

    code = 401
    error_code = 11002
    error = "invalid_client"
    message = "The client is unknown or could not be authenticated."


class InvalidGrant(OAuthError):
    """The credentials or the refresh token are wrong, expired, used or revoked."""

    error_code = 11003
    error = "invalid_grant"
    message = "The credentials are wrong or no longer valid."


class UnauthorizedClient(OAuthError):
    """The client may not use this grant type."""

    error_code = 11004
    error = "unauthorized_client"
    message = "The client may not use this grant type."


class UnsupportedGrantType(OAuthError):
    """The grant type is not supported."""

    error_code = 11005
    error = "unsupported_grant_type"
    message = "This grant type is not supported."


class InvalidScope(OAuthError):
    """A scope is unknown, or none of the requested ones can be granted."""

    error_code = 11006
    error = "invalid_scope"
    message = "The scope is unknown or exceeds what can be granted."


class SignInTooOld(Unauthorized):
    """The last sign-in is too long ago; a new one or the current password is required."""

    error_code = 11007
    message = "Sign in again, or send your current password: you signed in too long ago for this."

    def __init__(self, message: str | None = None) -> None:
        challenge = (
            f'{CHALLENGE}, error="insufficient_user_authentication",'
            f' error_description="A more recent sign-in is needed.",'
            f' max_age="{int(RECENT.total_seconds())}"'
        )
        super().__init__(message, headers={"WWW-Authenticate": challenge})
