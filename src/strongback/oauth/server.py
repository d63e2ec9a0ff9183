"""The OAuth 2 server: Authlib implements the protocol, this module issues the tokens."""

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
from strongback.log.setup import get_logger
from strongback.oauth.grant import (
    FIRST_PARTY,
    Client,
    PasswordGrant,
    Revocation,
    RotatingRefreshGrant,
    TokenRequest,
)

log = get_logger(__name__)

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
        scopes: Permissions that a token can be limited to.
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
        """Called with the account after each sign-in."""
        self.clients = {FIRST_PARTY: Client(FIRST_PARTY)}
        self.register_grant(PasswordGrant)
        self.register_grant(RotatingRefreshGrant)
        self.register_endpoint(Revocation)

    @property
    def grant_types(self) -> list[str]:
        """The registered grant types, for the metadata."""
        return [grant.GRANT_TYPE for grant, _ in self._token_grants]

    def token(self, parameters: Mapping[str, str], device: Device) -> dict[str, Any]:
        """Process a token request (RFC 6749, sections 4.3 and 6).

        Raises:
            OAuthError: The request is refused.
        """
        request = TokenRequest(parameters, device)
        request.required("grant_type")
        response: dict[str, Any] = self.create_token_response(request)
        return response

    def revoke(self, parameters: Mapping[str, str], device: Device) -> None:
        """Process a revocation request (RFC 7009, section 2).

        Raises:
            OAuthError: The request is malformed, or the client is unknown.
        """
        self.create_endpoint_response(Revocation.ENDPOINT_NAME, TokenRequest(parameters, device))

    def sign_in(
        self,
        account: Account,
        device: Device,
        *,
        how: str,
        client_id: str = FIRST_PARTY,
        scope: str | None = None,
    ) -> dict[str, Any] | None:
        """Open a session for somebody who has proven to be the owner of an account.

        Args:
            account: The account.
            device: The device that signs in.
            how: What has proven it, for the log.
            client_id: Client of the session.
            scope: Requested permissions; None for all of the account's.

        Returns:
            The body of the response; None if the account has changed meanwhile.
        """
        narrowed = self.narrow(scope, account)
        grant = self.sessions.open(account, client_id, narrowed, device)
        if grant is None:
            return None
        self.signed_in(account)
        facts = {"user_id": account.id, "session": grant.session_id, "address": device.address}
        log.info("signed_in", grant=how, **facts)
        return self.token_response(grant, narrowed)

    def narrow(self, scope: str | None, account: Account) -> frozenset[str] | None:
        """The granted part of a requested scope; None, for all permissions, if none is requested.

        Raises:
            InvalidScope: Nothing of it can be granted.
        """
        if not scope or not scope.split():
            return None
        granted = account.permissions.intersection(scope.split())
        if not granted:
            raise InvalidScope
        return frozenset(str(item) for item in granted)

    def token_response(self, grant: Grant, scope: frozenset[str] | None) -> dict[str, Any]:
        """The body of a successful response (RFC 6749, section 5.1), and the account's name."""
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
            "username": grant.account.username,
        }

    # The interface that Authlib requires

    def query_client(self, client_id: str) -> Client | None:
        """The client with this id."""
        return self.clients.get(client_id)

    def create_oauth2_request(self, request: TokenRequest) -> TokenRequest:
        """Return the request."""
        return request

    def send_signal(self, name: str, *args: object, **kwargs: object) -> None:
        """Do nothing."""

    def handle_response(self, *response: Any) -> Any:  # noqa: ANN401  status, body, headers
        """Return the body; the web layer writes it."""
        return response[1]

    def handle_error_response(
        self, request: TokenRequest, error: OAuth2Error  # noqa: ARG002  Authlib's signature
    ) -> NoReturn:
        """Raise the error with the same name."""
        raise _ERRORS.get(error.error or "", InvalidRequest) from error
