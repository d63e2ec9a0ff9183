"""The page that signs in and out, which is the same for everybody: a script does the rest."""

from __future__ import annotations

from pathlib import Path

from strongback.app import Strongback
from strongback.oauth.grant import SmsCodeGrant
from strongback.oauth.server import OAuthServer
from strongback.web.injection import inject
from strongback.web.page import PageBlueprint, render
from strongback.web.request import Response

FOLDER = Path(__file__).with_name("template")
MODULE = "strongback/account.js"
"""Shows on all pages who is signed in."""

server = inject(OAuthServer)


def init_page(app: Strongback, address: str, auth: str, forgotten: str | None) -> None:
    """Serve the page, link it in the bar, and let modules import `session`.

    It links the page for a forgotten password, and calls the OAuth endpoints at `auth`.
    """
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
    app.pages.sign_in, app.pages.auth = address, auth
    app.pages.modules.append(MODULE)
    app.static_files.name("session", "strongback/session.js")
    app.register_blueprint(pages)
