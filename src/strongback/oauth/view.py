"""Routes of the OAuth 2 server: the token, its end, and where both are found."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Any

from flask import url_for
from pydantic import ConfigDict, Field

from strongback.app import Strongback
from strongback.auth.authenticator import Authenticator
from strongback.auth.exceptions import NO_STORE, InvalidClient, InvalidGrant, InvalidRequest
from strongback.auth.session.service import Device
from strongback.exceptions import UnsupportedMediaType, ValidationFailed
from strongback.oauth.request import FIRST_PARTY
from strongback.oauth.server import OAuthServer
from strongback.schema import RequestForm, Schema
from strongback.web.bearer import bearer
from strongback.web.blueprint import APIBlueprint
from strongback.web.guard import public
from strongback.web.injection import inject
from strongback.web.limit import account_name, client_address, guess_limited, limited, welcome
from strongback.web.request import Request, current_request

api = APIBlueprint("sb_auth", __name__, url_prefix="/auth", tag="auth")
well_known = APIBlueprint("sb_metadata", __name__, url_prefix="/.well-known", tag="metadata")
server = inject(OAuthServer)

Value = Annotated[str, Field(max_length=4096)]


class OAuthForm(RequestForm):
    """A form whose unknown fields are ignored (RFC 6749, section 3.2), but may not be repeated."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[
        str, Value
    ]  # pyright: ignore[reportIncompatibleVariableOverride]  # as pydantic documents it

    client_id: Value = FIRST_PARTY
    """The application that asks; this project's own if left out."""

    @property
    def parameters(self) -> dict[str, str]:
        """All of them by name."""
        return self.model_dump(exclude_unset=True)


class TokenForm(OAuthForm):
    """A request for tokens. Which fields it needs depends on the grant type."""

    grant_type: Annotated[Value, Field(examples=["password", "refresh_token"])]
    """`password`, `refresh_token`, or `urn:strongback:params:oauth:grant-type:sms-code`."""
    username: Value = ""
    """Grant `password`: the account's name."""
    password: Annotated[Value, Field(json_schema_extra={"format": "password"})] = ""
    """Grant `password`: the account's password."""
    refresh_token: Value = ""
    """Grant `refresh_token`: the token from the last response. Its first use spends it; sent again
    within `AUTH_REFRESH_GRACE` seconds (10), it gets the same successor, while that is
    unused."""
    phone: Annotated[Value, Field(examples=["+8613800138000"])] = ""
    """Grant `sms-code`: the number that the account has proven."""
    code: Annotated[Value, Field(examples=["123456"])] = ""
    """Grant `sms-code`: what `/auth/sms-codes` sent to it. It is good once."""
    handle: Value = ""
    """Grant `sms-code`: what `/auth/sms-codes` answered; the code is good with it alone."""
    scope: Value = ""
    """Permissions that are enough, separated by spaces; everything the account may do if left
    out."""


class TokenOut(Schema):
    """Tokens (RFC 6749, section 5.1)."""

    access_token: str
    """Goes into `Authorization: Bearer …`."""
    token_type: str
    """Always `Bearer`."""
    expires_in: int
    """Seconds that the access token is good for."""
    refresh_token: str
    """Fetches the next tokens. Any later use than a repeated request ends the session."""
    scope: str
    """Permissions of the access token, separated by spaces."""


class RevokeForm(OAuthForm):
    """A request to end a session."""

    token: Value
    """A refresh or an access token of the session."""
    token_type_hint: Value = ""
    """`access_token` or `refresh_token`; makes no difference here."""


class RevokeOut(Schema):
    """Nothing: the session is over, or never was."""


class Metadata(Schema):
    """What a client needs to know of this server (RFC 8414, section 2)."""

    issuer: str
    """The server's name, which is its address."""
    token_endpoint: str
    """Where tokens are had."""
    revocation_endpoint: str
    """Where sessions are ended."""
    scopes_supported: list[str]
    """Permissions that a token can be narrowed to."""
    grant_types_supported: list[str]
    """Ways to get a token."""
    response_types_supported: list[str]
    """None: there is no authorization endpoint."""
    token_endpoint_auth_methods_supported: list[str]
    """How clients prove who they are: not at all, they are public."""
    revocation_endpoint_auth_methods_supported: list[str]
    """The same."""


def guessed_name(request: Request) -> str | None:
    """The name that a password is guessed for; a code has tries of its own."""
    return account_name(request) if request.form.get("grant_type") == "password" else None


@api.post("/token", responses={200: TokenOut})
@public
@limited("60/minute", by=client_address, fail="closed", counts=InvalidGrant)
@guess_limited(by=guessed_name, counts=InvalidGrant)
def issue_token(form: TokenForm) -> tuple[dict[str, Any], dict[str, str]]:
    """Sign in, or exchange a refresh token."""
    return server.token(_parameters(form), device()), NO_STORE


@api.post("/revoke", responses={200: RevokeOut})
@public
def revoke_token(form: RevokeForm) -> tuple[dict[str, Any], dict[str, str]]:
    """Sign out: end the session that a token belongs to.

    The answer is the same for a token that is not known.
    """
    server.revoke(_parameters(form), device())
    return {}, NO_STORE


@well_known.get("/oauth-authorization-server", responses={200: Metadata})
@public
def read_metadata() -> dict[str, Any]:
    """Tell clients where the endpoints are and what they can do."""
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


def init_oauth(app: Strongback, authenticator: Authenticator, url_prefix: str) -> None:
    """Serve the endpoints below a prefix, and let every other route know its caller."""
    app.extensions["authenticate"] = bearer(authenticator)
    app.services[OAuthServer].signed_in = lambda account: welcome(account.username)
    app.register_api(api, url_prefix=url_prefix)
    app.register_api(well_known)


def device() -> Device:
    """The device that is asking."""
    request = current_request()
    return Device(request.user_agent.string, request.remote_addr or "")


@api.before_request
def _take_client_credentials() -> None:
    """Keep the header from the guard: here it names the client, and never the user."""
    environ = current_request().environ
    environ["strongback.client"] = environ.pop("HTTP_AUTHORIZATION", None)


def _parameters(form: OAuthForm) -> dict[str, str]:
    """The form, completed by a client that names itself in the header, as some libraries do.

    Raises:
        InvalidClient: It sends a secret, and no client has one.
        InvalidRequest: It names itself twice, and differently.
    """
    parameters = form.parameters
    scheme, _, encoded = (current_request().environ["strongback.client"] or "").partition(" ")
    if scheme.lower() != "basic":
        return parameters
    client_id, secret = _read_basic(encoded)
    if secret:
        raise InvalidClient(headers={"WWW-Authenticate": 'Basic realm="strongback"'})
    if client_id and parameters.setdefault("client_id", client_id) != client_id:
        raise InvalidRequest
    return parameters


def _read_basic(encoded: str) -> tuple[str, str]:
    try:
        client_id, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        raise InvalidRequest from None
    return client_id, secret


@api.errorhandler(ValidationFailed)
@api.errorhandler(UnsupportedMediaType)
def _answer_malformed(
    error: ValidationFailed | UnsupportedMediaType,
) -> Any:  # noqa: ANN401  as Flask makes of an error
    """RFC 6749, section 5.2 has one name for every malformed request."""
    return InvalidRequest(errors=error.errors)
