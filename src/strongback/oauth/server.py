"""The OAuth 2 server: Authlib does the protocol, this module says what is issued."""

# Authlib is not typed, and the stubs that pyright brings along are of another release.
# pyright: reportIncompatibleVariableOverride=false, reportIncompatibleMethodOverride=false
# pyright: reportOptionalMemberAccess=false, reportAttributeAccessIssue=false
# pyright: reportAssignmentType=false

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

from authlib.oauth2 import AuthorizationServer
from authlib.oauth2.rfc6749 import OAuth2Error

from strongback.auth.account import Account, Accounts
from strongback.auth.exceptions import (
    InvalidClient,
    InvalidGrant,
    InvalidRequest,
    InvalidScope,
    OAuthError,
    UnauthorizedClient,
    UnsupportedGrantType,
)
from strongback.auth.permission import Permission
from strongback.auth.session_service import Device, Grant, SessionService
from strongback.auth.token import LIFETIME, AccessTokens
from strongback.oauth.grant import PasswordGrant, Revocation, RotatingRefreshGrant
from strongback.oauth.token_request import FIRST_PARTY, Client, TokenRequest

_ERRORS: dict[str, type[OAuthError]] = {
    kind.error: kind
    for kind in (
        InvalidRequest,
        InvalidClient,
        InvalidGrant,
        UnauthorizedClient,
        UnsupportedGrantType,
        InvalidScope,
    )
}


class OAuthServer(AuthorizationServer):  # type: ignore[misc]  # the same
    """The token and the revocation endpoint, free of any framework.

    Args:
        accounts: Who may sign in.
        sessions: What is opened for them.
        tokens: What they get.
        scopes: What a token can be narrowed to.
    """

    def __init__(
        self,
        accounts: Accounts,
        sessions: SessionService,
        tokens: AccessTokens,
        scopes: Sequence[Permission],
    ) -> None:
        super().__init__(scopes_supported=[str(item) for item in scopes])
        self.scopes = scopes
        self.accounts = accounts
        self.sessions = sessions
        self.tokens = tokens
        self.signed_in: Callable[[Account], object] = lambda _: None
        """Told of every account that was signed in to, by whichever grant."""
        self.clients = {FIRST_PARTY: Client(FIRST_PARTY)}
        self.register_grant(PasswordGrant)
        self.register_grant(RotatingRefreshGrant)
        self.register_endpoint(Revocation)

    @property
    def grant_types(self) -> list[str]:
        """The grants that are registered, for the metadata."""
        return [grant.GRANT_TYPE for grant, _ in self._token_grants]

    def token(self, parameters: Mapping[str, str], device: Device) -> dict[str, Any]:
        """Answer a token request (RFC 6749, sections 4.3 and 6).

        Raises:
            OAuthError: It is refused.
        """
        request = TokenRequest(parameters, device)
        if "grant_type" not in request.parameters:
            raise InvalidRequest("The parameter {name} is missing.", params={"name": "grant_type"})
        answer: dict[str, Any] = self.create_token_response(request)
        return answer

    def revoke(self, parameters: Mapping[str, str], device: Device) -> None:
        """Answer a revocation request (RFC 7009, section 2).

        Raises:
            OAuthError: It is malformed, or from an unknown client.
        """
        self.create_endpoint_response(Revocation.ENDPOINT_NAME, TokenRequest(parameters, device))

    def narrow(self, scope: str | None, account: Account) -> frozenset[str] | None:
        """What a token gets of what was asked for; None, everything, if nothing was asked for.

        Raises:
            InvalidScope: Nothing is left of it.
        """
        if not scope or not scope.split():
            return None
        granted = account.permissions.intersection(scope.split())
        if not granted:
            raise InvalidScope
        return frozenset(str(item) for item in granted)

    def token_response(self, grant: Grant, scope: frozenset[str] | None) -> dict[str, Any]:
        """Write a successful answer (RFC 6749, section 5.1)."""
        allowed = grant.account.permissions
        token = self.tokens.issue(
            user_id=grant.account.id,
            client_id=grant.client_id,
            session_id=grant.session_id,
            scope=scope,
        )
        return {
            "access_token": token,
            "token_type": "Bearer",
            "expires_in": int(LIFETIME.total_seconds()),
            "refresh_token": grant.refresh_token,
            "scope": " ".join(sorted(allowed if scope is None else allowed & scope)),
        }

    # What Authlib asks of its surroundings

    def query_client(self, client_id: str) -> Client | None:
        """The client of this name."""
        return self.clients.get(client_id)

    def create_oauth2_request(self, request: TokenRequest) -> TokenRequest:
        """Nothing to convert."""
        return request

    def send_signal(self, name: str, *args: object, **kwargs: object) -> None:
        """Nobody listens."""

    def handle_response(self, *response: Any) -> Any:  # noqa: ANN401  status, body, headers
        """Hand the data back; the web layer writes them."""
        return response[1]

    def handle_error_response(
        self, request: TokenRequest, error: OAuth2Error  # noqa: ARG002  Authlib's signature
    ) -> NoReturn:
        """Raise our error of the same name."""
        raise _ERRORS.get(error.error or "", InvalidRequest) from error
