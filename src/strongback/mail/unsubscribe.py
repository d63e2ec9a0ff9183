"""Unsubscribing from a kind of mail by a link in it, without signing in (RFC 2369, RFC 8058)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from itsdangerous import BadData, URLSafeSerializer

from strongback.config import Settings
from strongback.mail.one_time_token import wrong_token

_PURPOSE = "strongback unsubscribe 1"


@dataclass(frozen=True, slots=True)
class Subscription:
    """What a person gets mail of."""

    account_id: int
    kind: str


class Unsubscriptions:
    """Signs the links of notifications, and takes what they send.

    Args:
        settings: The secrets, and the public address.
        route: Path of the route that takes a POST by a mail program.
        page: Path of the page for people.
    """

    def __init__(self, settings: Settings, route: str, page: str) -> None:
        self.switch_off: Callable[[int, str], object] = lambda *_: None
        """Gets an account's id and a kind whose mail it no longer wants."""
        secrets = [*reversed(settings.secrets)]  # the last one signs
        options = {"digest_method": hashlib.sha256}
        self._signer = URLSafeSerializer(secrets, salt=_PURPOSE, signer_kwargs=options)
        self._route, self._page = settings.address + route, settings.address + page

    def token(self, subscription: Subscription) -> str:
        """A token that says whose mail of which kind it ends; it does not expire."""
        return str(self._signer.dumps([subscription.account_id, subscription.kind]))

    def headers(self, token: str) -> dict[str, str]:
        """The headers by which mail programs offer a button."""
        return {
            "List-Unsubscribe": f"<{self._route}?token={token}>",
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        }

    def link(self, token: str) -> str:
        """The address of the page for people."""
        return f"{self._page}?token={token}"

    def find(self, token: str) -> Subscription:
        """What a token ends; changes nothing.

        Raises:
            WrongToken: It was not signed here.
        """
        try:
            account_id, kind = self._signer.loads(token)
        except (BadData, ValueError):
            raise wrong_token() from None
        return Subscription(account_id, kind)

    def end(self, token: str) -> Subscription:
        """End what the token says; repeating it has no effect.

        Raises:
            WrongToken: It was not signed here.
        """
        ended = self.find(token)
        self.switch_off(ended.account_id, ended.kind)
        return ended
