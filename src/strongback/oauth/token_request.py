"""Clients and requests of the OAuth 2 server, as Authlib needs them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from authlib.oauth2.rfc6749 import ClientMixin, OAuth2Request
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload

from strongback.auth.exceptions import InvalidRequest
from strongback.auth.session_service import Device

FIRST_PARTY = "strongback"
"""Id of the first-party client, the default."""


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

    Args:
        parameters: The form. The query string is ignored, since it ends up in logs.
        device: The device that sends it.
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
        """Return a parameter.

        Raises:
            InvalidRequest: It is missing.
        """
        if name not in self.parameters:
            raise InvalidRequest("The parameter {name} is missing.", params={"name": name})
        return self.parameters[name]
