"""From an access token to the principal."""

from __future__ import annotations

from strongback.auth.principal import Principal
from strongback.auth.session_cache import SessionState
from strongback.auth.session_service import SessionService
from strongback.auth.token import AccessTokens, InvalidToken


class Authenticator:
    """Accepts tokens with a valid signature and an active session."""

    def __init__(self, tokens: AccessTokens, sessions: SessionService) -> None:
        self._tokens = tokens
        self._sessions = sessions

    def principal_of(self, token: str) -> Principal:
        """The principal of a token.

        Raises:
            InvalidToken: The token is invalid, or its session has ended.
        """
        access = self._tokens.verify(token)
        state = self._sessions.state(access.session_id)
        if state is None or state.user_id != access.user_id:
            raise InvalidToken("the session is over")
        return principal_of(state, access.scope)


def principal_of(state: SessionState, scope: frozenset[str] | None) -> Principal:
    """The principal of an active session, limited to the scope of its token, if that has one."""
    allowed = permissions = state.permissions
    for limit in (state.scope, scope):
        if limit is not None:
            permissions = frozenset(item for item in permissions if item in limit)
    return Principal(
        user_id=state.user_id,
        username=state.username,
        permissions=permissions,
        withheld=allowed - permissions,
        session_id=state.session_id,
        signed_in_at=state.signed_in_at,
    )
