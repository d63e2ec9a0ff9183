"""Tokens of connections: JWTs (HS256) that Centrifugo's servers and ours read.

The key is derived from the application's secret and is a text, as Centrifugo's settings want it. A
token carries the session, so that a session that has ended is let in nowhere, and what the session
was limited to.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from strongback.auth.principal import Principal
from strongback.auth.token import CLOCK_SKEW, InvalidToken
from strongback.realtime.message import Identity

if TYPE_CHECKING:
    from strongback.auth.signature import Signer

LIFETIME = timedelta(minutes=10)
"""Lifetime of a token, and of a connection that gets no other."""
AUDIENCE = "realtime"
_PURPOSE = b"strongback realtime token 1"
_PROXY_PURPOSE = b"strongback realtime proxy 1"


class ExpiredToken(InvalidToken):
    """The token was good; the client asks for another one."""


class RealtimeTokens:
    """Issues and verifies tokens of connections.

    The first secret signs; earlier ones are still accepted. The clock tells seconds since 1970.
    """

    def __init__(self, secrets: Sequence[str], clock: Callable[[], float] = time.time) -> None:
        self._secrets = secrets
        self._clock = clock

    def issue(self, principal: Principal) -> str:
        """Sign a token with which a principal connects, within `LIFETIME`."""
        return self._sign(principal, info={"username": principal.username})

    def issue_for(self, principal: Principal, channel: str, info: object = None) -> str:
        """Sign a token with which a principal subscribes to one channel of a real Centrifugo."""
        return self._sign(principal, channel=channel, **({} if info is None else {"info": info}))

    def _sign(self, principal: Principal, **claims: Any) -> str:  # noqa: ANN401  JSON
        now = int(self._clock())
        meta: dict[str, Any] = {"sid": principal.session_id}
        if principal.withheld:
            meta["scope"] = sorted(principal.permissions)
        claims |= {
            "sub": str(principal.user_id),
            "aud": AUDIENCE,
            "iat": now,
            "exp": now + int(LIFETIME.total_seconds()),
            "sid": principal.session_id,
            # Centrifugo hands this on to the one who is asked whether the client may subscribe.
            "meta": meta,
        }
        return self._signer.sign(claims)

    def verify(self, token: str) -> Identity:
        """Return whose token of a connection it is, or raise `ExpiredToken` or `InvalidToken`."""
        claims = self._signer.read(token)
        if claims is None or claims["aud"] != AUDIENCE or "channel" in claims:
            raise InvalidToken("not a token of a connection, or the signature does not match")
        left = claims["exp"] - self._clock()
        if left <= 0:
            raise ExpiredToken("expired")
        if left > LIFETIME.total_seconds() + CLOCK_SKEW:
            raise InvalidToken("from the future")
        meta = claims["meta"]
        scope = meta.get("scope") if isinstance(meta, dict) else None
        return Identity(
            int(claims["sub"]),
            claims["sid"],
            claims["exp"],
            claims.get("info"),
            scope=frozenset(scope) if isinstance(scope, list) else None,
        )

    @property
    def keys(self) -> list[str]:
        """The keys that sign, as settings of Centrifugo: the present one, then earlier ones."""
        return self._derived(_PURPOSE)

    @property
    def proxy_keys(self) -> list[str]:
        """The keys by which Centrifugo is known where it asks us: the present one first."""
        return self._derived(_PROXY_PURPOSE)

    def _derived(self, purpose: bytes) -> list[str]:
        from strongback.auth.signature import shared_text  # noqa: PLC0415  as the signer

        return [shared_text(secret, purpose) for secret in self._secrets]

    @cached_property
    def _signer(self) -> Signer:
        # A worker of tasks needs none.
        from strongback.auth.signature import Signer, shared_key  # noqa: PLC0415  see above

        return Signer(self._secrets, lambda secret: shared_key(secret, _PURPOSE))
