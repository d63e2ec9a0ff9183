"""Routes of the OAuth 2 server: tokens, revocation and metadata."""

from __future__ import annotations

import base64
from typing import Annotated, Any, cast

from flask import current_app, url_for
from pydantic import ConfigDict, Field

from strongback.app import Strongback
from strongback.auth.account import Account
from strongback.auth.exceptions import (
    CHALLENGE,
    NO_STORE,
    InvalidClient,
    InvalidGrant,
    InvalidRequest,
)
from strongback.auth.principal import Principal
from strongback.auth.session_service import Device, SessionService
from strongback.auth.token import AccessTokens, InvalidToken
from strongback.exceptions import Unauthorized, UnsupportedMediaType, ValidationFailed
from strongback.oauth.cookie import HEADER, TokenCookie, TokenTransport, token_cookie
from strongback.oauth.grant import FIRST_PARTY, RotatingRefreshGrant
from strongback.oauth.server import OAuthServer
from strongback.schema import RequestForm, Schema
from strongback.web.blueprint import APIBlueprint
from strongback.web.guard import Authenticate, public
from strongback.web.injection import inject
from strongback.web.limit import account_name, client_address, guess_limited, limited, welcome
from strongback.web.request import Request, Response, current_request

api = APIBlueprint("sb_auth", __name__, url_prefix="/auth", tag="auth")
well_known = APIBlueprint("sb_metadata", __name__, url_prefix="/.well-known", tag="metadata")
server = inject(OAuthServer)

_REJECTED = (
    f'{CHALLENGE}, error="invalid_token",'
    ' error_description="The access token is invalid or has expired."'
)
Value = Annotated[str, Field(max_length=4096)]
Extra = dict[str, Value]


class OAuthForm(RequestForm):
    """A form: unknown fields are ignored, repeated fields rejected (RFC 6749, section 3.2)."""

    model_config = ConfigDict(extra="allow")
    # The type of unknown fields, as pydantic documents it.
    __pydantic_extra__: Extra  # pyright: ignore[reportIncompatibleVariableOverride]  # documented

    client_id: Value = FIRST_PARTY
    """Client id of the application. Default: the first-party client."""

    @property
    def parameters(self) -> dict[str, str]:
        """The submitted parameters by name."""
        return self.model_dump(exclude_unset=True)


class TokenForm(OAuthForm):
    """A request for tokens. The required fields depend on the grant type."""

    grant_type: Annotated[Value, Field(examples=["password", "refresh_token"])]
    """`password`, `refresh_token` or `urn:strongback:params:oauth:grant-type:sms-code`."""
    username: Value = ""
    """Grant `password`: username of the account."""
    password: Annotated[Value, Field(json_schema_extra={"format": "password"})] = ""
    """Grant `password`: password of the account."""
    refresh_token: Value = ""
    """Grant `refresh_token`: token of the last response, good for one use. Sent again within 10
    seconds (`AUTH_REFRESH_GRACE`), it gets the same response as long as the token in that is
    unused."""
    phone: Annotated[Value, Field(examples=["+8613800138000"])] = ""
    """Grant `sms-code`: verified telephone number of the account."""
    code: Annotated[Value, Field(examples=["123456"])] = ""
    """Grant `sms-code`: code from the text message, good for one use."""
    handle: Value = ""
    """Grant `sms-code`: `handle` in the response of `/auth/sms-codes`."""
    remember: bool = False
    """With `X-Token-Transport: cookie`: whether the session outlasts the browser."""
    scope: Value = ""
    """Requested permissions, separated by spaces. Default: all permissions of the account."""


class TokenOut(Schema):
    """Tokens (RFC 6749, section 5.1)."""

    access_token: str
    """Token for the header `Authorization: Bearer …`."""
    token_type: str
    """Always `Bearer`."""
    expires_in: int
    """Lifetime of the access token in seconds."""
    refresh_token: str | None = None
    """Token for the next token request, good for one use. Using it again later ends the session.
    With `X-Token-Transport: cookie` it is in the cookie instead."""
    scope: str
    """Permissions of the access token, separated by spaces."""


class RevokeForm(OAuthForm):
    """A request to end a session."""

    token: Value = ""
    """Refresh token or access token of the session. With `X-Token-Transport: cookie` it may be left
    out: then the session of the cookie ends."""
    token_type_hint: Value = ""
    """`access_token` or `refresh_token`; ignored."""


class RevokeOut(Schema):
    """An empty object: the session has ended, or the token is unknown."""


class OAuthMetadata(Schema):
    """Metadata of the authorization server (RFC 8414, section 2)."""

    issuer: str
    """Issuer identifier: the address of the server."""
    token_endpoint: str
    """Token endpoint."""
    revocation_endpoint: str
    """Revocation endpoint."""
    scopes_supported: list[str]
    """Scopes: the permissions that a token can be limited to."""
    grant_types_supported: list[str]
    """Supported grant types."""
    response_types_supported: list[str]
    """Empty: there is no authorization endpoint."""
    token_endpoint_auth_methods_supported: list[str]
    """`none`: clients are public."""
    revocation_endpoint_auth_methods_supported: list[str]
    """`none`: clients are public."""


def guessed_name(request: Request) -> str | None:
    """The username of a password grant; codes have a limit of their own."""
    return account_name(request) if request.form.get("grant_type") == "password" else None


@api.post("/token", responses={200: TokenOut})
@public
@limited("60/minute", key=client_address, on_outage="closed", counts=InvalidGrant)
@guess_limited(key=guessed_name, counts=InvalidGrant)
def issue_token(
    form: TokenForm, header: TokenTransport
) -> Response | tuple[dict[str, Any], dict[str, str]]:
    """Sign in, or refresh the tokens."""
    parameters = _parameters(form)
    if not header.is_cookie:
        return server.token(parameters, device()), NO_STORE
    cookie = _cookie()
    if form.grant_type == RotatingRefreshGrant.GRANT_TYPE:
        token = {"refresh_token": form.refresh_token or cookie.token}
        body = server.token(parameters | token, device())
        return cookie.respond(body, remember=cookie.is_remembered)
    body = server.token(parameters, device())
    return _respond_anew(cookie, body, remember=form.remember)


def sign_in_browser(account: Account, how: str) -> Response:
    """Sign the browser that sends the current request in; the request must have the header.

    Args:
        account: The account; whoever calls this knows that the browser is its owner's.
        how: What has proven that, for the log.

    Raises:
        InvalidRequest: The header is missing, or a page of another origin has sent the request.
        InvalidGrant: The account is disabled, or has just changed.
    """
    if current_request().headers.get(HEADER) != "cookie":
        raise InvalidRequest
    cookie = _cookie()
    body = server.sign_in(account, device(), how=how)
    if body is None:
        raise InvalidGrant
    return _respond_anew(cookie, body, remember=False)


def _cookie() -> TokenCookie:
    return token_cookie(current_request(), cast("Any", current_app).settings)


def _respond_anew(cookie: TokenCookie, body: dict[str, Any], *, remember: bool) -> Response:
    # Nobody could end the session whose cookie is replaced.
    server.sessions.revoke_by_refresh_token(cookie.token, FIRST_PARTY)
    return cookie.respond(body, remember=remember)


@api.post("/revoke", responses={200: RevokeOut})
@public
def revoke_token(
    form: RevokeForm, header: TokenTransport
) -> Response | tuple[dict[str, Any], dict[str, str]]:
    """Sign out: end the session of a token.

    The response is the same if the token is unknown.
    """
    parameters = _parameters(form)
    if not header.is_cookie:
        server.revoke(parameters, device())
        return {}, NO_STORE
    cookie = _cookie()
    if token := form.token or cookie.token:
        server.revoke(parameters | {"token": token}, device())
    return cookie.clear()


@well_known.get("/oauth-authorization-server", responses={200: OAuthMetadata})
@public
def read_oauth_metadata() -> dict[str, Any]:
    """Get the metadata of the authorization server."""
    issuer = server.tokens.issuer
    return {
        "issuer": issuer,
        "token_endpoint": issuer + url_for(f"{api.name}.issue_token"),
        "revocation_endpoint": issuer + url_for(f"{api.name}.revoke_token"),
        "scopes_supported": list(server.scopes),
        "grant_types_supported": server.grant_types,
        "response_types_supported": [],
        "token_endpoint_auth_methods_supported": ["none"],
        "revocation_endpoint_auth_methods_supported": ["none"],
    }


def init_oauth(app: Strongback, server: OAuthServer, url_prefix: str) -> None:
    """Serve the endpoints below a prefix, and authenticate the callers of all other routes."""
    app.extensions["authenticate"] = bearer(server.tokens, server.sessions)
    server.signed_in = lambda account: welcome(account.username)
    app.register_api(api, url_prefix=url_prefix)
    app.register_api(well_known)


def bearer(tokens: AccessTokens, sessions: SessionService) -> Authenticate:
    """Return the function that authenticates an Authorization header (RFC 6750, section 2.1)."""

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


def device() -> Device:
    """The device that sends the request."""
    request = current_request()
    return Device(request.user_agent.string, request.remote_addr or "")


@api.before_request
def _take_client_credentials() -> None:
    """Hide the header from `authorize`: on these routes it names the client, not the user."""
    environ = current_request().environ
    environ["strongback.client"] = environ.pop("HTTP_AUTHORIZATION", None)


def _parameters(form: OAuthForm) -> dict[str, str]:
    """The form, with the client id from the Authorization header, where some libraries send it.

    Raises:
        InvalidClient: The header has a secret, and no client has one.
        InvalidRequest: Form and header have different client ids.
    """
    parameters = form.parameters
    scheme, _, encoded = (current_request().environ["strongback.client"] or "").partition(" ")
    if scheme.lower() != "basic":
        return parameters
    try:
        client_id, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except ValueError:
        raise InvalidRequest from None
    if secret:
        raise InvalidClient(headers={"WWW-Authenticate": 'Basic realm="strongback"'})
    if client_id and parameters.setdefault("client_id", client_id) != client_id:
        raise InvalidRequest
    return parameters


@api.errorhandler(ValidationFailed)
@api.errorhandler(UnsupportedMediaType)
def _respond_to_malformed(
    error: ValidationFailed | UnsupportedMediaType,
) -> Any:  # noqa: ANN401  as Flask makes of an error
    """Respond with `invalid_request` to all malformed requests (RFC 6749, section 5.2)."""
    return InvalidRequest(errors=error.errors)
