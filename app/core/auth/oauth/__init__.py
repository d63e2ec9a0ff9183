"""The OAuth 2 server, free of any web framework.

A further way to sign in is one class:

    class SmsCodeGrant(SignIn):
        GRANT_TYPE = "urn:groundwork:params:oauth:grant-type:sms-code"
        PARAMETERS = ("phone", "code")

        def authenticate(self, *proof: str) -> Account | None:
            phone, code = proof
            ...

    server.register_grant(SmsCodeGrant)
"""

from app.core.auth.oauth.grant import SignIn
from app.core.auth.oauth.request import FIRST_PARTY
from app.core.auth.oauth.server import OAuthServer

__all__ = ["FIRST_PARTY", "OAuthServer", "SignIn"]
