from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey
from pydantic import SecretStr

from app.core.config import Settings, load_settings
from strongback.auth.signature import derive
from strongback.auth.token import AccessTokens, InvalidToken
from strongback.exceptions import ConfigurationError
from tests.support.sign_in import PASSWORD, Client, client, sqlite_client

__all__ = ["client", "sqlite_client"]

ISSUER, AUDIENCE = "http://127.0.0.1:8000", "http://127.0.0.1:8000/api/v1"
SECRET, OLD = "a" * 40, "b" * 40


def issue(tokens: AccessTokens, **changes: Any) -> str:
    values: dict[str, Any] = {
        "user_id": 7,
        "client_id": "strongback",
        "session_id": "s" * 22,
        "scope": None,
    }
    return tokens.issue(**(values | changes))


def segment(value: object) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def content(token: str, part: int) -> dict[str, Any]:
    text = token.split(".")[part]
    return dict(json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))))


class TestClockSetBack:
    @pytest.mark.parametrize("seconds, is_good", [(59, True), (-59, True), (61, False)])
    def test_a_token_is_good_for_no_longer_than_its_life(self, seconds: int, is_good: bool):
        now = [1_800_000_000.0]
        tokens = AccessTokens(ISSUER, AUDIENCE, [SECRET], clock=lambda: now[0])
        token = issue(tokens)
        now[0] -= seconds
        if is_good:
            tokens.verify(token)
            return
        with pytest.raises(InvalidToken):
            tokens.verify(token)
        assert tokens.verify(token, may_be_expired=True).user_id == 7, "it can be revoked"
        tokens.verify(issue(tokens))


class TestRoundTrip:
    def test_what_was_issued_is_read_back(self):
        tokens = AccessTokens(ISSUER, AUDIENCE, [SECRET])
        access = tokens.verify(issue(tokens, scope=["b:c", "a:b"]))
        assert (
            access.user_id,
            access.client_id,
            access.session_id,
        ) == (7, "strongback", "s" * 22)
        assert frozenset({"a:b", "b:c"}) == access.scope

    def test_the_claims_are_those_of_rfc_9068(self):
        token = issue(AccessTokens(ISSUER, AUDIENCE, [SECRET]))
        assert {"typ": "at+jwt", "alg": "HS256"}.items() <= content(token, 0).items()
        claims = content(token, 1)
        assert claims.keys() == {"iss", "aud", "sub", "client_id", "iat", "exp", "jti", "sid"}
        assert claims["exp"] - claims["iat"] == 900

    def test_no_two_tokens_are_alike(self):
        tokens = AccessTokens(ISSUER, AUDIENCE, [SECRET])
        assert issue(tokens) != issue(tokens)

    def test_a_token_ends_after_fifteen_minutes(self):
        now = [1000.0]
        tokens = AccessTokens(ISSUER, AUDIENCE, [SECRET], clock=lambda: now[0])
        token = issue(tokens)
        now[0] += 899.9
        tokens.verify(token)
        now[0] += 0.2
        with pytest.raises(InvalidToken):
            tokens.verify(token)
        assert tokens.verify(token, may_be_expired=True).user_id == 7


class TestRotation:
    def test_changing_the_secret_signs_nobody_out(self, sqlite_client: Client):
        sqlite_client.account("ada")
        tokens = sqlite_client.sign_in("ada")
        old = sqlite_client.settings.app_secret_key.get_secret_value()
        changed = {"app_secret_key": SecretStr(SECRET)}
        kept = Client(
            sqlite_client.settings.model_copy(
                update=changed | {"app_secret_keys_old": SecretStr(f"{'c' * 40}, {old}")}
            )
        )
        dropped = Client(sqlite_client.settings.model_copy(update=changed))
        assert kept.status(tokens["access_token"]) == 200
        assert dropped.status(tokens["access_token"]) == 401
        fresh = dropped.refresh(tokens["refresh_token"]).json
        assert kept.status(fresh["access_token"]) == 200
        kept.close()
        dropped.close()

    @pytest.mark.parametrize("old", ["short", "changeme", f"{'a' * 40},short"])
    def test_a_weak_old_secret_is_refused_in_production(self, old: str):
        values = {"app_env": "production", "app_secret_key": SECRET, "app_secret_keys_old": old}
        with pytest.raises(ConfigurationError, match="APP_SECRET_KEYS_OLD"):
            load_settings(_env_file=None, **values)

    def test_the_public_address_is_the_issuer(self, settings: Settings):
        assert settings.address == "http://127.0.0.1:8000"
        public = settings.model_copy(update={"app_url": "https://api.example.org"})
        assert public.address == "https://api.example.org"
        for wrong in ("api.example.org", "https://api.example.org/v1", "ftp://example.org"):
            with pytest.raises(ConfigurationError, match="APP_URL"):
                load_settings(_env_file=None, app_url=wrong)

    def test_what_an_earlier_secret_signed_is_still_good(self):
        token = issue(AccessTokens(ISSUER, AUDIENCE, [OLD]))
        assert AccessTokens(ISSUER, AUDIENCE, [SECRET, OLD]).verify(token).user_id == 7

    def test_the_first_secret_signs(self):
        token = issue(AccessTokens(ISSUER, AUDIENCE, [SECRET, OLD]))
        assert AccessTokens(ISSUER, AUDIENCE, [SECRET]).verify(token).user_id == 7

    def test_a_secret_that_was_taken_away_is_worth_nothing(self):
        token = issue(AccessTokens(ISSUER, AUDIENCE, [OLD]))
        with pytest.raises(InvalidToken):
            AccessTokens(ISSUER, AUDIENCE, [SECRET]).verify(token)


def forgeries(client: Client, good: str, refresh_token: str) -> dict[str, str]:
    """Every way to forge a token that the issue names, and some more."""
    header, payload, signature = good.split(".")
    head, claims = content(good, 0), content(good, 1)
    derived = derive(client.settings.app_secret_key.get_secret_value())
    secret = client.settings.app_secret_key.get_secret_value().encode()

    def signed(
        head: dict[str, Any], claims: dict[str, Any] = claims, key: bytes | None = None
    ) -> str:
        """A token with our own signature, or one by another key."""
        text = f"{segment(head)}.{segment(claims)}".encode()
        used = key if key is not None else derived.key.raw_value
        return f"{text.decode()}.{segment(hmac.digest(used, text, hashlib.sha256))}"

    def claiming(**changes: object) -> str:
        """Signed with our key and our header: only the claims are wrong."""
        changed = {name: value for name, value in (claims | changes).items() if value is not None}
        return jwt.encode(derived.header, changed, derived.key, algorithms=["HS256"])

    rsa_key = RSAKey.import_key(rsa.generate_private_key(65537, 2048))
    other = OctKey.import_key(b"x" * 32)
    now = int(time.time())
    return {
        "alg none, no signature": f"{segment(head | {'alg': 'none'})}.{payload}.",
        "alg none, old signature": f"{segment(head | {'alg': 'none'})}.{payload}.{signature}",
        "alg None spelt otherwise": f"{segment(head | {'alg': 'NoNe'})}.{payload}.",
        "no alg": signed({"typ": "at+jwt", "kid": head["kid"]}),
        "HS512": jwt.encode(head | {"alg": "HS512"}, claims, derived.key, algorithms=["HS512"]),
        "HS384": jwt.encode(head | {"alg": "HS384"}, claims, derived.key, algorithms=["HS384"]),
        "RS256": jwt.encode(head | {"alg": "RS256"}, claims, rsa_key, algorithms=["RS256"]),
        "own jwk": signed(head | {"jwk": other.as_dict()}, key=b"x" * 32),
        "jku": signed(head | {"jku": "http://127.0.0.1:9/keys"}, key=b"x" * 32),
        "x5u": signed(head | {"x5u": "http://127.0.0.1:9/cert"}, key=b"x" * 32),
        "crit": signed(head | {"crit": ["b64"], "b64": False}),
        "unknown kid": signed(head | {"kid": "0" * 16}),
        "no kid": signed({"typ": "at+jwt", "alg": "HS256"}),
        "kid is a path": signed(head | {"kid": "../../dev/null"}, key=b""),
        "kid is SQL": signed(head | {"kid": "' OR 1=1 --"}),
        "kid is a list": signed(head | {"kid": [head["kid"]]}),
        "typ JWT": signed(head | {"typ": "JWT"}),
        "no typ": signed({"alg": "HS256", "kid": head["kid"]}),
        "the secret itself as key": signed(head, key=secret),
        "an empty key": signed(head, key=b""),
        "another key": f"{header}.{payload}.{signed(head, key=b'x' * 32).split('.')[2]}",
        "changed payload": f"{header}.{segment(claims | {'sub': '1'})}.{signature}",
        "cut signature": good[:-1],
        "padded signature": good + "=",
        "character slipped in": f"{header}.{payload}.!{signature}",
        "line break": good + "\n",
        "two dots only": "..",
        "four parts": good + "." + signature,
        "empty": "",
        "not base64": "%.%.%",
        "not ASCII": "é" * 40,
        "a megabyte": "a" * 1_000_000,
        "deep nesting": f"{segment(b'[' * 3000)}.{payload}.{signature}",
        "another issuer": claiming(iss="https://evil.example"),
        "another audience": claiming(aud="https://evil.example"),
        "audience list": claiming(aud=[claims["aud"], "https://evil.example"]),
        "expired": claiming(iat=now - 2000, exp=now - 1),
        "another session": claiming(sid="A" * 22),
        "another account": claiming(sub="999999"),
        "refresh token as access token": refresh_token,
        "password": PASSWORD,
    }


def test_every_forged_token_is_401_with_a_challenge(client: Client):
    client.account("ada")
    tokens = client.sign_in("ada")
    assert client.status(tokens["access_token"]) == 200
    for name, token in forgeries(client, tokens["access_token"], tokens["refresh_token"]).items():
        environ = {"HTTP_AUTHORIZATION": f"Bearer {token}".encode().decode("latin-1")}
        answer = client.app.test_client().get("/api/v1/users/me", environ_overrides=environ)
        assert answer.status_code == 401, name
        challenge = answer.headers["WWW-Authenticate"]
        assert challenge.startswith('Bearer realm="strongback", error="invalid_token"'), name


@pytest.mark.parametrize("header", ["Basic YWRhOmFkYQ==", "Digest x", "token", "", "Bearer"])
def test_another_scheme_is_401(sqlite_client: Client, header: str):
    answer = sqlite_client.call("GET", "/users/me", headers={"Authorization": header})
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith('Bearer realm="strongback"')


def test_no_token_is_401_without_an_error_code(sqlite_client: Client):
    answer = sqlite_client.call("GET", "/users/me")
    assert (
        answer.status_code,
        answer.headers["WWW-Authenticate"],
    ) == (401, 'Bearer realm="strongback"')


def test_an_access_token_is_no_refresh_token(sqlite_client: Client):
    sqlite_client.account("ada")
    answer = sqlite_client.refresh(sqlite_client.sign_in("ada")["access_token"])
    assert (answer.status_code, answer.json["error"]) == (400, "invalid_grant")
