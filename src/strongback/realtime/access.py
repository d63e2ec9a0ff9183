"""Access: who connects with a token, and what they may subscribe to."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

from strongback.auth.principal import Principal
from strongback.auth.session_service import SessionService
from strongback.auth.token import InvalidToken
from strongback.realtime.channel import ChannelRegistry, Grant
from strongback.realtime.message import (
    INVALID_TOKEN,
    TOKEN_EXPIRED,
    Disconnected,
    Identity,
    Refused,
)
from strongback.realtime.permission import RealtimePermission
from strongback.realtime.token import ExpiredToken, RealtimeTokens


@dataclass(frozen=True, slots=True)
class Access:
    """Lets connections in, and says what they may subscribe to.

    A session that has ended is let in nowhere, whatever its token says.
    """

    registry: ChannelRegistry
    tokens: RealtimeTokens
    sessions: Callable[[], SessionService]
    """Returns the service, which is registered after this part."""
    context: Callable[[], AbstractContextManager[object]]
    """Opens the context in which slices are asked."""
    port: int | None = None
    """Port of the WebSockets, if it is not the one of the API."""

    def authenticate(self, token: str) -> Identity:
        """Return who connects with a token.

        Raises:
            Refused: The token has expired.
            Disconnected: It is not valid, or its session has ended.
        """
        try:
            identity = self.tokens.verify(token)
        except ExpiredToken as error:
            raise Refused(TOKEN_EXPIRED) from error
        except InvalidToken as error:
            raise Disconnected(INVALID_TOKEN) from error
        if self.principal(identity.user_id, identity.session_id, identity.scope) is None:
            raise Disconnected(INVALID_TOKEN)
        return replace(identity, channels=(self.registry.personal(identity.user_id),))

    def authorize(self, identity: Identity, channel: str, _token: str = "") -> Grant | None:
        """Return what a connection gets with a channel; None if it may not subscribe."""
        principal = self.principal(identity.user_id, identity.session_id, identity.scope)
        if principal is None:
            raise Disconnected(INVALID_TOKEN)
        return self.grant(principal, channel)

    def grant(self, principal: Principal, channel: str) -> Grant | None:
        """Return what a principal gets with a channel; None if nothing, or there is none."""
        namespace = self.registry.find(channel)
        if namespace is None:
            return None
        with self.context():
            return namespace.grant(principal, channel)

    def principal(
        self, user_id: int, session_id: str, scope: frozenset[str] | None
    ) -> Principal | None:
        """Return the principal of an active session; None if it has ended, or may not connect."""
        principal = self.sessions().principal(user_id, session_id, scope)
        return principal if principal and principal.may(RealtimePermission.CONNECT) else None
