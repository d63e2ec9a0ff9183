"""The grants and the revocation endpoint of the OAuth 2 server."""

# Authlib is not typed, and the stubs that pyright brings along are of another release.
# pyright: reportIncompatibleVariableOverride=false, reportIncompatibleMethodOverride=false
# pyright: reportOptionalMemberAccess=false, reportAttributeAccessIssue=false
# pyright: reportAssignmentType=false

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NoReturn, Protocol, Self, cast

from authlib.oauth2.rfc6749 import (
    BaseGrant,
    ClientMixin,
    InvalidScopeError,
    OAuth2Request,
    TokenEndpointMixin,
)
from authlib.oauth2.rfc6749.grants import RefreshTokenGrant
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload
from authlib.oauth2.rfc7009 import RevocationEndpoint

from strongback.auth.account import Account, Accounts
from strongback.auth.exceptions import InvalidGrant, InvalidRequest
from strongback.auth.session_service import Device, Grant, SessionService
from strongback.auth.token import AccessTokens, InvalidToken
from strongback.log.setup import get_logger
from strongback.sms.code import CodePurpose, SmsCodes
from strongback.sms.phone import parse_phone

log = get_logger(__name__)

FIRST_PARTY = "strongback"
"""Id of the first-party client, the default."""
TokenResponse = tuple[int, dict[str, Any], Any]
"""Status, body and headers, as in Authlib."""


@dataclass(frozen=True, slots=True)
class Client(ClientMixin):  # type: ignore[misc]  # Authlib has no types
    """A public client (RFC 6749, section 2.1), without a secret."""

    client_id: str

    def get_client_id(self) -> str:
        """Return the id."""
        return self.client_id

    def check_endpoint_auth_method(
        self, method: str, endpoint: str  # noqa: ARG002  Authlib's signature
    ) -> bool:
        """Accept `none`: a public client only identifies itself."""
        return method == "none"

    def check_grant_type(self, grant_type: str) -> bool:  # noqa: ARG002  the same
        """Accept all grant types."""
        return True


class TokenRequest(OAuth2Request):  # type: ignore[misc]  # the same
    """A request to one of the endpoints, independent of the web framework.

    Its parameters are the form's. The query string is ignored, since it ends up in logs.
    """

    def __init__(self, parameters: Mapping[str, str], device: Device) -> None:
        # Authlib requires https, which is up to the proxy in front.
        super().__init__("POST", "https://localhost/")
        # RFC 6749, section 3.2: a parameter without a value counts as omitted.
        given = {name: value for name, value in parameters.items() if value}
        self.parameters = {"client_id": FIRST_PARTY} | given
        self.payload = BasicOAuth2Payload(self.parameters)
        self.device = device

    @property
    def form(self) -> dict[str, str]:
        """The parameters, as Authlib reads them."""
        return self.parameters

    def required(self, name: str) -> str:
        """Return a parameter, or raise `InvalidRequest`."""
        if name not in self.parameters:
            raise InvalidRequest("The parameter {name} is missing.", params={"name": name})
        return self.parameters[name]


class Issuer(Protocol):
    """The interface of the server for grants."""

    accounts: Accounts
    sessions: SessionService
    tokens: AccessTokens

    def sign_in(  # noqa: D102  as the server has it
        self, account: Account, device: Device, *, how: str, client_id: str, scope: str | None
    ) -> dict[str, Any] | None: ...

    def narrow(self, scope: str | None, account: Account) -> frozenset[str] | None:
        """The granted part of a requested scope; None for all permissions."""
        ...

    def token_response(self, grant: Grant, scope: frozenset[str] | None) -> dict[str, Any]:
        """The body of a successful response."""
        ...


class SignIn(BaseGrant, TokenEndpointMixin):  # type: ignore[misc]  # the same
    """A grant that authenticates the owner of an account and opens a session."""

    TOKEN_ENDPOINT_AUTH_METHODS: ClassVar = ["none"]
    PARAMETERS: ClassVar[tuple[str, ...]] = ()
    """Required form fields, passed to `authenticate`."""

    server: Issuer
    request: TokenRequest

    def authenticate(self, *proof: str) -> Account | None:
        """Return the account, or None in the same time if the proof is wrong."""
        raise NotImplementedError

    def validate_token_request(self) -> None:
        """Check client, parameters, scope and proof, the most expensive last."""
        self.request.client = self.authenticate_token_endpoint_client()
        proof = [self.request.required(name) for name in self.PARAMETERS]
        self.validate_requested_scope()
        account = self.authenticate(*proof)
        if account is None:
            self._refuse("credentials")
        self.request.user = account

    def create_token_response(self) -> TokenResponse:
        """Open the session."""
        account: Account = self.request.user
        body = self.server.sign_in(
            account,
            self.request.device,
            how=str(self.GRANT_TYPE),
            client_id=self.request.client.client_id,
            scope=self.request.payload.scope,
        )
        if body is None:
            self._refuse("account_changed")
        return 200, body, self.TOKEN_RESPONSE_HEADER

    def _refuse(self, reason: str) -> NoReturn:
        address = self.request.device.address
        log.warning("sign_in_failed", reason=reason, grant=self.GRANT_TYPE, address=address)
        raise InvalidGrant


class PasswordGrant(SignIn):
    """RFC 6749, section 4.3, for first-party clients only, as RFC 9700 advises."""

    GRANT_TYPE = "password"
    PARAMETERS = ("username", "password")

    def authenticate(self, *proof: str) -> Account | None:
        """Return the account if the password is right."""
        username, password = proof
        return self.server.accounts.check_password(username, password)


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


class RotatingRefreshGrant(RefreshTokenGrant):  # type: ignore[misc]  # Authlib has no types
    """RFC 6749, section 6, with a new refresh token each time (RFC 9700, section 4.14.2)."""

    TOKEN_ENDPOINT_AUTH_METHODS: ClassVar = ["none"]

    server: Issuer
    request: TokenRequest

    def validate_token_request(self) -> None:
        """Check client and scope first, so that a wrong one does not use up the token."""
        self.request.client = client = self._validate_request_client()
        issued = self.server.sessions.scope_of(self.request.required("refresh_token"))
        if issued is None or issued[0] != client.client_id:
            raise InvalidGrant
        self.validate_requested_scope()
        wanted = self.request.payload.scope
        if wanted and issued[1] is not None and not issued[1].issuperset(wanted.split()):
            raise InvalidScopeError

    def create_token_response(self) -> TokenResponse:
        """Exchange the token."""
        # Authlib issues the new token before it revokes the old one, so that two parallel requests
        # would both succeed.
        grant = self.server.sessions.rotate(self.request.form["refresh_token"], self.request.device)
        if grant is None:
            raise InvalidGrant
        scope = self.request.payload.scope
        narrowed = self.server.narrow(scope, grant.account) if scope else grant.scope
        return 200, self.server.token_response(grant, narrowed), self.TOKEN_RESPONSE_HEADER


class Revocation(RevocationEndpoint):  # type: ignore[misc]  # the same
    """RFC 7009: ends the session of a refresh or access token."""

    CLIENT_AUTH_METHODS: ClassVar = ["none"]

    server: Issuer

    def authenticate_token(self, request: TokenRequest, client: Client) -> None:
        """End the session; an unknown token counts as revoked."""
        token = request.required("token")
        # The hint is not needed: the kind of the token is evident.
        if self.server.sessions.revoke_by_refresh_token(token, client.client_id):
            return
        try:
            access = self.server.tokens.verify(token, may_be_expired=True)
        except InvalidToken:
            return
        if access.client_id == client.client_id:
            self.server.sessions.revoke(access.session_id)
