"""Who asks the OAuth 2 server, and what for, as Authlib wants to see it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from authlib.oauth2.rfc6749 import ClientMixin, OAuth2Request
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload

from strongback.auth.session_service import Device

FIRST_PARTY = "strongback"
"""The client that a request comes from which names none: this project's own."""


@dataclass(frozen=True, slots=True)
class Client(ClientMixin):  # type: ignore[misc]  # Authlib has no types
    """A public client (RFC 6749, section 2.1): it has no secret, and could not keep one."""

    client_id: str

    def get_client_id(self) -> str:
        """Its name."""
        return self.client_id

    def check_endpoint_auth_method(
        self, method: str, endpoint: str  # noqa: ARG002  Authlib's signature
    ) -> bool:
        """It identifies itself, and that is all."""
        return method == "none"

    def check_grant_type(self, grant_type: str) -> bool:  # noqa: ARG002  the same
        """It may sign in in every way there is."""
        return True


class TokenRequest(OAuth2Request):  # type: ignore[misc]  # the same
    """A request to one of the endpoints, free of any framework.

    Args:
        parameters: The form; nothing of the address, where a password would end up in logs.
        device: Where it comes from.
    """

    def __init__(self, parameters: Mapping[str, str], device: Device) -> None:
        # Authlib wants to see https. Whether there is any is the business of the proxy in front.
        super().__init__("POST", "https://localhost/")
        # RFC 6749, section 3.2: a parameter without a value counts as left out.
        given = {name: value for name, value in parameters.items() if value}
        self.parameters = {"client_id": FIRST_PARTY} | given
        self.payload = BasicOAuth2Payload(self.parameters)
        self.device = device

    @property
    def form(self) -> dict[str, str]:
        """The parameters, where Authlib looks for them."""
        return self.parameters
