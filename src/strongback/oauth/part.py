"""The part `oauth`: signing in."""

from __future__ import annotations

from collections.abc import Callable

from strongback.app import Strongback
from strongback.auth.account import Account, Accounts
from strongback.auth.session_service import SESSION_ENDED, SessionService
from strongback.auth.token import AccessTokens
from strongback.notification.sender import Notifications
from strongback.oauth.cookie import TokenCookies
from strongback.oauth.new_device import tell_of_new_devices
from strongback.oauth.page import init_page
from strongback.oauth.server import OAuthServer
from strongback.oauth.session_cli import group
from strongback.oauth.sms_grant import SmsCodeGrant
from strongback.oauth.view import init_oauth
from strongback.sms.code import SmsCodes


def register(  # noqa: PLR0913  the last three have defaults
    app: Strongback,
    accounts: Accounts,
    url_prefix: str,
    look_up: Callable[[int], Account | None] | None = None,
    *,
    sign_in: str | None = "/sign-in",
    forgotten: str | None = None,
) -> SessionService:
    """Serve the OAuth endpoints below a prefix, and authenticate the callers of all routes.

    Args:
        app: The application.
        accounts: Looks up accounts.
        url_prefix: Prefix of the API, also the audience of tokens.
        look_up: Returns an account by its id, at most a second old; called for each request.
        sign_in: Address of the page that signs in; None for an API without pages.
        forgotten: Address of the application's page for a forgotten password.
    """
    settings = app.settings
    app.outbox.declare("strongback.oauth", SESSION_ENDED)
    sessions = SessionService(app.database, accounts, settings, look_up=look_up, outbox=app.outbox)
    tokens = AccessTokens(settings.address, f"{settings.address}{url_prefix}", settings.secrets)
    server = OAuthServer(accounts, sessions, tokens, app.permissions)
    app.before_start(lambda: tell_of_new_devices(sessions, app.services.find(Notifications)))
    app.before_start(lambda: _add_sms_code(server, app.services.find(SmsCodes)))
    app.provide(sessions, server, TokenCookies(settings))
    init_oauth(app, server, f"{url_prefix}/auth")
    if sign_in is not None:
        init_page(app, sign_in, f"{url_prefix}/auth", forgotten)
    app.cli.add_command(group)
    return sessions


def _add_sms_code(server: OAuthServer, codes: SmsCodes | None) -> None:
    if codes is not None and codes.are_sent:
        server.register_grant(SmsCodeGrant.using(codes))
