"""Realtime servers of tests: tokens and channels as the official SDK's own suite wants them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from strongback.realtime.channel import Grant, History
from strongback.realtime.message import (
    INVALID_TOKEN,
    TOKEN_EXPIRED,
    Disconnected,
    Identity,
    Refused,
)

SECRET = b"secret"


@dataclass(frozen=True)
class Options:
    """The options of a channel."""

    history: History | None = None
    presence: bool = False
    join_leave: bool = False
    publish: bool = False


MINUTES = timedelta(minutes=5)
FULL = Options(History(100, MINUTES), presence=True, join_leave=True, publish=True)
SMALL = Options(History(2, MINUTES), publish=True)
PLAIN = Options()


class SuiteChannels:
    """The channels of the official suite: any name, and the namespace `smallhistory`."""

    def find(self, channel: str) -> Options | None:
        """Return the options of a channel."""
        namespace, _, rest = channel.rpartition(":")
        if not rest:
            return None
        return {"smallhistory": SMALL, "plain": PLAIN, "": FULL}.get(namespace)


def sign(claims: dict[str, Any], secret: bytes = SECRET) -> str:
    """Return a token as the suite makes them."""
    parts = [_encode(json.dumps(each).encode()) for each in ({"alg": "HS256"}, claims)]
    signature = hmac.new(secret, ".".join(parts).encode(), hashlib.sha256).digest()
    return ".".join([*parts, _encode(signature)])


def read_token(token: str, now: float) -> dict[str, Any]:
    """Return the claims of a token; refuse it as a server has to."""
    try:
        head, claims, signature = token.split(".")
        expected = hmac.new(SECRET, f"{head}.{claims}".encode(), hashlib.sha256).digest()
        if _encode(expected) != signature:
            raise Disconnected(INVALID_TOKEN)
        found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(claims + "=="))
    except ValueError as error:
        raise Disconnected(INVALID_TOKEN) from error
    if found.get("exp", now + 1) <= now:
        raise Refused(TOKEN_EXPIRED)
    return found


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Gate:
    """Decides about tokens and channels as the suite's Centrifugo does."""

    def __init__(self, now: Any) -> None:
        self.now = now

    def authenticate(self, token: str) -> Identity:
        claims = read_token(token, self.now())
        user = int(claims["sub"])
        return Identity(
            user, claims.get("sid", ""), claims.get("exp"), claims.get("info"), (f"#{user}",)
        )

    def authorize(self, identity: Identity, channel: str, token: str) -> Grant | None:
        """Allow what a channel token allows; without one, what does not begin with `secret`."""
        if not token:
            return None if channel.startswith("secret") else Grant(data={"channel": channel})
        try:
            claims = read_token(token, self.now())
        except Disconnected:
            return None
        is_meant = (claims.get("channel"), claims.get("sub")) == (channel, str(identity.user_id))
        return Grant(expires_at=claims.get("exp")) if is_meant else None
