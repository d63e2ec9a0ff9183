"""The OAuth 2 server, and the part that serves it; the server is free of any web framework.

A further way to sign in is one class, as `SmsCodeGrant` is:

    class BadgeGrant(SignIn):
        GRANT_TYPE = "urn:strongback:params:oauth:grant-type:badge"
        PARAMETERS = ("badge", "pin")

        def authenticate(self, *proof: str) -> Account | None:
            badge, pin = proof
            ...

    server.register_grant(BadgeGrant)
"""

from strongback.oauth.grant import FIRST_PARTY, SignIn, SmsCodeGrant
from strongback.oauth.part import register
from strongback.oauth.server import OAuthServer
from strongback.oauth.view import sign_in_browser

__all__ = ["FIRST_PARTY", "OAuthServer", "SignIn", "SmsCodeGrant", "register", "sign_in_browser"]
