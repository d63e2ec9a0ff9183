"""Signing in without a password, whose check is slow on purpose."""

from __future__ import annotations

from strongback.app import Strongback
from strongback.auth.session_service import Device
from strongback.oauth import FIRST_PARTY, OAuthServer


def access_token(app: Strongback, user_id: int) -> str:
    """Open a session of an account, as the token endpoint does, and return its access token.

    Args:
        app: Application with accounts.
        user_id: Id of an account that is there and not disabled.

    Raises:
        LookupError: There is no such account.
    """
    server = app.services[OAuthServer]
    with app.database.scope():
        account = server.accounts.account(user_id)
        if account is None:
            raise LookupError(f"There is no account {user_id}")
        grant = server.sessions.open(account, FIRST_PARTY, None, Device("tests", "127.0.0.1"))
    if grant is None:
        raise LookupError(f"The account {user_id} is disabled")
    return str(server.token_response(grant, None)["access_token"])
