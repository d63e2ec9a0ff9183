"""The part `oauth`: signing in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from strongback.app import Strongback
from strongback.auth.account import Account, Accounts
from strongback.auth.session_model import AuthSession
from strongback.auth.session_service import SESSION_ENDED, SessionService
from strongback.auth.token import AccessTokens
from strongback.cli.command import DatabaseGroup
from strongback.notification.kind import Kind
from strongback.notification.sender import Notifications
from strongback.oauth.grant import SmsCodeGrant
from strongback.oauth.server import OAuthServer
from strongback.oauth.view import init_oauth
from strongback.sms.code import SmsCodes
from strongback.web.injection import inject
from strongback.web.page import PageBlueprint, render
from strongback.web.request import Response

NEW_DEVICE = Kind(
    "session:new-device",
    about="Your account is signed in to from a device that has not been used for 90 days.",
    text="Your account was signed in to from a new device: {device}.",
    subject="New sign-in to your account",
    body="Your account was signed in to from a new device at {at}: {device}, address {address}. If"
    " it was not you, change your password: that signs out all other devices.",
    is_security=True,
)
FOLDER = Path(__file__).with_name("template")
MODULE = "strongback/account.js"
"""Shows on all pages who is signed in."""
DEVICE_LENGTH = 100
"""Characters of a User-Agent that are shown."""

group = DatabaseGroup("auth", help="Maintain sessions.")
current_sessions = inject(SessionService)


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
    app.before_start(lambda: _tell_of_new_devices(sessions, app.services.find(Notifications)))

    def add_sms_code() -> None:
        codes = app.services.find(SmsCodes)
        if codes is not None and codes.are_sent:
            server.register_grant(SmsCodeGrant.using(codes))

    app.before_start(add_sms_code)
    app.provide(sessions, server)
    init_oauth(app, server, f"{url_prefix}/auth")
    if sign_in is not None:
        app.pages.sign_in, app.pages.auth = sign_in, f"{url_prefix}/auth"
        _add_page(app, server, sign_in, forgotten)
    app.cli.add_command(group)
    return sessions


def _add_page(app: Strongback, server: OAuthServer, address: str, forgotten: str | None) -> None:
    """Serve the page that signs in and out: the same for everybody, a script does the rest."""
    pages = PageBlueprint("sb_sign_in", __name__)

    @pages.get(address)
    def show_sign_in() -> Response:
        return render(
            "oauth/sign_in.html",
            forgotten=forgotten,
            sms_grant=SmsCodeGrant.GRANT_TYPE,
            sends_codes=SmsCodeGrant.GRANT_TYPE in server.grant_types,
        )

    app.pages.add("oauth", FOLDER)
    app.pages.modules.append(MODULE)
    app.static_files.name("session", "strongback/session.js")
    app.register_blueprint(pages)


def _tell_of_new_devices(sessions: SessionService, notifications: Notifications | None) -> None:
    """Notify the owners of accounts that new devices sign in to, if anybody is notified here."""
    if notifications is None:
        return

    def tell(session: AuthSession) -> None:
        data = {
            "device": session.user_agent[:DEVICE_LENGTH] or "-",
            "address": session.address,
            "at": f"{session.created_at:%Y-%m-%d %H:%M} UTC",
        }
        notifications.send(NEW_DEVICE, f"session:{session.id}", to=[session.user_id], data=data)

    notifications.declare(NEW_DEVICE)
    sessions.on_new_device = tell


@group.command("clean")
def _clean() -> None:
    """Delete ended sessions and used tokens, in batches."""
    with current_sessions.database.scope():
        click.echo(f"Deleted {current_sessions.clean()} sessions and tokens.")
