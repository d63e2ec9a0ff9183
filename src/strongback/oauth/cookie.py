"""The cookie transport: browsers keep the refresh token where no script can read it.

A page that sends the header `X-Token-Transport: cookie` gets no refresh token in the body; the
token is in a cookie, with the attributes that RFC 10017, section 6.1, asks for. The cookie is read
at the token and the revocation endpoint alone, and only with the header: a page of another origin
cannot send that without a preflight, which CORS never allows.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from strongback.auth.exceptions import NO_STORE, InvalidRequest
from strongback.auth.session_service import IDLE_LIFETIME
from strongback.config import Settings
from strongback.web.json import dump
from strongback.web.request import Request, Response

HEADER = "X-Token-Transport"
SECURE_NAME = "__Host-Http-strongback"
"""Name of the cookie. By the prefix a browser takes it from this host alone, over https, with
HttpOnly and `Path=/`: neither a script nor a neighbour in the domain can plant one."""
PLAIN_NAME = "strongback"
"""Its name over plain http, which production refuses."""
_REMEMBERED = ".remember"


class TokenTransport(BaseModel):
    """Header by which a browser keeps the refresh token in a cookie."""

    model_config = ConfigDict(use_attribute_docstrings=True, validate_by_name=True)

    x_token_transport: Annotated[
        Literal["cookie"] | None, Field(alias=HEADER, examples=["cookie"])
    ] = None
    """`cookie`: the refresh token is in a cookie that no script can read, not in the body, which
    has the `username` of the account instead. For pages of this server only."""

    @property
    def is_cookie(self) -> bool:
        """Whether the refresh token is in a cookie."""
        return self.x_token_transport is not None


@dataclass(frozen=True, slots=True)
class TokenCookie:
    """The cookie of a request that has the header."""

    is_secure: bool
    """Whether the request came over https."""
    token: str
    """The refresh token; empty if there is none."""
    is_remembered: bool
    """Whether the cookie outlasts the browser."""

    def respond(self, body: dict[str, Any], *, remember: bool) -> Response:
        """A token response whose refresh token is in the cookie.

        One that is remembered outlasts the browser, for as long as a session lasts unused.
        """
        shown = {name: value for name, value in body.items() if name != "refresh_token"}
        token = body["refresh_token"] + (_REMEMBERED if remember else "")
        return self._respond(shown, token, IDLE_LIFETIME if remember else None)

    def clear(self) -> Response:
        """An empty object that deletes the cookie."""
        return self._respond({}, "", timedelta())

    def _respond(self, body: dict[str, Any], value: str, max_age: timedelta | None) -> Response:
        response = Response(dump(body), headers=NO_STORE)
        name, secure = _name(is_secure=self.is_secure), self.is_secure
        response.set_cookie(name, value, max_age, secure=secure, httponly=True, samesite="Strict")
        return response


def token_cookie(request: Request, settings: Settings) -> TokenCookie:
    """The cookie of a request that has the header.

    Raises:
        InvalidRequest: The request comes from a page of another origin, or over plain http in
            production.
    """
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    # Not `host_url`, which writes international names in letters; an origin has them in ASCII.
    own = {None, f"{request.scheme}://{request.host}", settings.address}
    if site not in {None, "same-origin"} or origin not in own:
        raise InvalidRequest(
            "Only pages of this server may keep a session in a cookie; call without the header"
            " {header} from elsewhere.",
            params={"header": HEADER},
        )
    if settings.is_production and not request.is_secure:
        raise InvalidRequest(
            "In production the cookie of a session needs https. If a proxy in front of the"
            " server speaks it, set WEB_PROXIES to the number of proxies."
        )
    value = request.cookies.get(_name(is_secure=request.is_secure), "")
    token, _, kind = value.partition(".")
    return TokenCookie(request.is_secure, token, is_remembered=bool(kind))


def _name(*, is_secure: bool) -> str:
    return SECURE_NAME if is_secure else PLAIN_NAME
