"""The token endpoint as RFC 6749 describes it, on the whole application."""

from __future__ import annotations

import base64
import logging
from typing import Any

import pytest

from app.core.permission import ROLES, Role
from app.main import create_app
from app.user.service import UserService
from strongback.auth.account import Account
from strongback.auth.permission import permissions_of
from strongback.config import LogLevel
from strongback.log.setup import configure_logging
from strongback.oauth import OAuthServer, SignIn, SmsCodeGrant
from tests.support.sign_in import PASSWORD, TOKEN, Client
from tests.support.sign_in import shared_client as client
from tests.support.sign_in import shared_sqlite_client as sqlite_client
from tests.support.sign_in import sqlite_client as own_client

__all__ = ["client", "own_client", "sqlite_client"]

SIGN_IN = {"grant_type": "password", "username": "ada", "password": PASSWORD}


@pytest.fixture
def ada(sqlite_client: Client) -> Client:
    sqlite_client.account("ada", Role.AUTHOR)
    return sqlite_client


class TestSuccess:
    def test_the_answer_is_that_of_rfc_6749(self, ada: Client):
        answer = ada.ask_token(**SIGN_IN)
        assert answer.status_code == 200
        body = answer.json
        assert {"access_token", "token_type", "expires_in", "refresh_token", "scope"} == body.keys()
        assert (body["token_type"], body["expires_in"]) == ("Bearer", 900)
        assert (
            answer.headers["Cache-Control"],
            answer.headers["Pragma"],
        ) == ("no-store", "no-cache")

    def test_without_a_scope_the_token_may_do_everything_that_the_roles_allow(self, ada: Client):
        body = ada.ask_token(**SIGN_IN).json
        assert ROLES[Role.AUTHOR] == set(body["scope"].split())
        assert ada.status(body["access_token"]) == 200

    def test_a_parameter_without_a_value_counts_as_left_out(self, ada: Client):
        assert ada.ask_token(**SIGN_IN, scope="", client_id="").status_code == 200
        answer = ada.ask_token(**SIGN_IN | {"password": ""})
        assert (answer.status_code, answer.json["error"]) == (400, "invalid_request")

    def test_an_unknown_parameter_is_ignored(self, ada: Client):
        assert ada.ask_token(**SIGN_IN, resource="https://example.org").status_code == 200

    @pytest.mark.parametrize("password", ["12345678 ok", '"bob" and al', "[1, 2, 3, 4]", "9" * 100])
    def test_a_password_stays_the_text_it_is(self, sqlite_client: Client, password: str):
        sqlite_client.account("ada", password=password)
        assert sqlite_client.sign_in("ada", password)

    def test_a_username_is_taken_however_it_is_written(self, ada: Client):
        assert ada.sign_in(" ＡDA ")

    def test_a_client_may_name_itself_in_the_header(self, ada: Client):
        for credentials in ("strongback:", ":"):  # the second is what Swagger UI sends
            encoded = base64.b64encode(credentials.encode()).decode()
            headers = {"Authorization": f"Basic {encoded}"}
            answer = ada.open(TOKEN, "POST", data=SIGN_IN, headers=headers)
            assert answer.status_code == 200

    def test_an_expired_token_in_the_header_does_not_keep_anybody_from_refreshing(
        self, ada: Client
    ):
        headers = {"Authorization": "Bearer expired"}
        answer = ada.open(TOKEN, "POST", data=SIGN_IN, headers=headers)
        assert answer.status_code == 200


REFUSALS: dict[str, tuple[dict[str, Any], int, str]] = {
    "nothing at all": ({}, 400, "invalid_request"),
    "no username": ({"grant_type": "password", "password": "x"}, 400, "invalid_request"),
    "no password": ({"grant_type": "password", "username": "ada"}, 400, "invalid_request"),
    "no refresh token": ({"grant_type": "refresh_token"}, 400, "invalid_request"),
    "unknown grant": (SIGN_IN | {"grant_type": "implicit"}, 400, "unsupported_grant_type"),
    "wrong password": (SIGN_IN | {"password": "wrong one"}, 400, "invalid_grant"),
    "unknown name": (SIGN_IN | {"username": "nobody"}, 400, "invalid_grant"),
    "impossible name": (SIGN_IN | {"username": "a b\x00'\"%"}, 400, "invalid_grant"),
    "unknown refresh token": (
        {"grant_type": "refresh_token", "refresh_token": "x"},
        400,
        "invalid_grant",
    ),
    "unknown scope": (SIGN_IN | {"scope": "profile:read nonsense"}, 400, "invalid_scope"),
    "scope beyond the roles": (SIGN_IN | {"scope": "user:manage"}, 400, "invalid_scope"),
    "unknown client": (SIGN_IN | {"client_id": "evil"}, 401, "invalid_client"),
    "client secret": (SIGN_IN | {"client_secret": "s"}, 401, "invalid_client"),
    "repeated parameter": (SIGN_IN | {"password": [PASSWORD, PASSWORD]}, 400, "invalid_request"),
    "repeated unknown one": (SIGN_IN | {"resource": ["a", "b"]}, 400, "invalid_request"),
    "far too long": (SIGN_IN | {"password": "x" * 5000}, 400, "invalid_request"),
}


class TestRefusal:
    @pytest.mark.parametrize("name", REFUSALS)
    def test_errors_have_the_members_of_rfc_6749_beside_ours(self, ada: Client, name: str):
        form, status, error = REFUSALS[name]
        answer = ada.ask_token(**form)
        body = answer.json
        assert (status, error) == (answer.status_code, body["error"])
        assert body["error_description"].isascii()
        assert {"code", "error_code", "message", "request_id"} <= body.keys()
        assert (
            answer.headers["Cache-Control"],
            answer.headers["Pragma"],
        ) == ("no-store", "no-cache")
        assert PASSWORD not in answer.get_data(as_text=True)

    def test_a_password_in_the_address_is_not_accepted(self, ada: Client):
        answer = ada.open(
            TOKEN,
            "POST",
            query_string={"password": PASSWORD},
            data={"grant_type": "password", "username": "ada"},
        )
        assert (answer.status_code, answer.json["error"]) == (400, "invalid_request")

    def test_json_is_an_invalid_request(self, ada: Client):
        answer = ada.open(TOKEN, "POST", json=SIGN_IN)
        assert (answer.status_code, answer.json["error"]) == (400, "invalid_request")

    def test_a_client_secret_in_the_header_is_challenged(self, ada: Client):
        headers = {"Authorization": "Basic Z3JvdW5kd29yazpzZWNyZXQ="}
        answer = ada.open(TOKEN, "POST", data=SIGN_IN, headers=headers)
        assert (answer.status_code, answer.json["error"]) == (401, "invalid_client")
        assert answer.headers["WWW-Authenticate"].startswith("Basic")

    def test_a_wrong_password_an_unknown_name_and_a_closed_account_look_alike(self, ada: Client):
        ada.account("closed")
        with ada.database.scope():
            ada.database.transact(lambda _: setattr(_user(ada, "closed"), "disabled", True))
        bodies = []
        for form in (
            SIGN_IN | {"password": "wrong one"},
            SIGN_IN | {"username": "nobody"},
            SIGN_IN | {"username": "closed"},
        ):
            body = ada.ask_token(**form).json
            body.pop("request_id")
            bodies.append(body)
        assert bodies[0] == bodies[1] == bodies[2]


def _user(client: Client, username: str):
    return client.app.services[UserService].get(username)


class TestScope:
    def test_a_scope_narrows_what_the_token_may_do(self, ada: Client):
        body = ada.sign_in("ada", scope="profile:read")
        assert body["scope"] == "profile:read"
        assert ada.status(body["access_token"]) == 200
        answer = ada.call("PATCH", "/users/me", body["access_token"], json={"email": None})
        assert answer.status_code == 403
        challenge = answer.headers["WWW-Authenticate"]
        assert 'error="insufficient_scope", scope="profile:write"' in challenge

    def test_what_the_roles_do_not_allow_is_left_out(self, ada: Client):
        assert ada.sign_in("ada", scope="user:manage profile:read")["scope"] == "profile:read"

    def test_a_refreshed_token_keeps_the_scope(self, ada: Client):
        body = ada.sign_in("ada", scope="profile:read follow:write")
        assert body["scope"] == ada.refresh(body["refresh_token"]).json["scope"]

    def test_a_refresh_may_narrow_one_token_and_not_the_next(self, ada: Client):
        body = ada.sign_in("ada", scope="profile:read follow:write")
        narrow = ada.refresh(body["refresh_token"], scope="follow:write").json
        assert narrow["scope"] == "follow:write"
        assert ada.status(narrow["access_token"]) == 403
        assert body["scope"] == ada.refresh(narrow["refresh_token"]).json["scope"]

    def test_a_refresh_cannot_widen_and_the_attempt_does_not_cost_the_token(self, ada: Client):
        body = ada.sign_in("ada", scope="follow:write")
        answer = ada.refresh(body["refresh_token"], scope="follow:write profile:read")
        assert (answer.status_code, answer.json["error"]) == (400, "invalid_scope")
        assert ada.refresh(body["refresh_token"]).status_code == 200


class TestRevocation:
    @pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
    @pytest.mark.parametrize("hint", ["access_token", "refresh_token", "nonsense", ""])
    def test_either_token_ends_the_session(self, ada: Client, kind: str, hint: str):
        body = ada.open_session("ada")
        answer = ada.call(
            "POST", "/auth/revoke", data={"token": body[kind], "token_type_hint": hint}
        )
        assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
        assert ada.status(body["access_token"]) == 401
        assert ada.refresh(body["refresh_token"]).status_code == 400

    def test_other_devices_stay(self, ada: Client):
        one, other = ada.open_session("ada"), ada.open_session("ada")
        ada.call("POST", "/auth/revoke", data={"token": one["refresh_token"]})
        assert ada.status(other["access_token"]) == 200

    @pytest.mark.parametrize("token", ["unknown", "a.b.c", "é" * 50])
    def test_an_unknown_token_is_as_good_as_revoked(self, ada: Client, token: str):
        assert ada.call("POST", "/auth/revoke", data={"token": token}).status_code == 200

    def test_no_token_is_an_invalid_request(self, ada: Client):
        answer = ada.call("POST", "/auth/revoke", data={})
        assert (answer.status_code, answer.json["error"]) == (400, "invalid_request")

    def test_signing_out_works_with_an_expired_access_token(self, ada: Client):
        body = ada.open_session("ada")
        tokens = ada.tokens()
        session = tokens.verify(body["access_token"]).session_id
        tokens._clock = lambda: 1_000_000.0
        old = tokens.issue(user_id=1, client_id="strongback", session_id=session, scope=None)
        ada.call("POST", "/auth/revoke", data={"token": old})
        assert ada.status(body["access_token"]) == 401


def test_the_metadata_are_those_of_rfc_8414(ada: Client):
    answer = ada.open("/.well-known/oauth-authorization-server")
    body = answer.json
    assert answer.status_code == 200
    assert f"{body['issuer']}/api/v1/auth/token" == body["token_endpoint"]
    assert f"{body['issuer']}/api/v1/auth/revoke" == body["revocation_endpoint"]
    assert permissions_of(ROLES) == body["scopes_supported"]
    assert body["grant_types_supported"] == ["password", "refresh_token", SmsCodeGrant.GRANT_TYPE]
    assert body["token_endpoint_auth_methods_supported"] == ["none"]


def test_a_further_grant_is_one_class(own_client: Client):
    """What an application with ways of its own will need."""
    own_client.account("ada")

    class BirthdayGrant(SignIn):
        GRANT_TYPE = "urn:strongback:params:oauth:grant-type:birthday"
        PARAMETERS = ("day",)

        def authenticate(self, *proof: str) -> Account | None:
            return self.server.accounts.account(1) if proof == ("1815-12-10",) else None

    own_client.app.services[OAuthServer].register_grant(BirthdayGrant)
    grant = {"grant_type": BirthdayGrant.GRANT_TYPE}
    assert own_client.ask_token(**grant).json["error"] == "invalid_request"
    assert own_client.ask_token(**grant, day="1900-01-01").json["error"] == "invalid_grant"
    assert (
        own_client.status(own_client.ask_token(**grant, day="1815-12-10").json["access_token"])
        == 200
    )
    metadata = own_client.open("/.well-known/oauth-authorization-server").json
    assert BirthdayGrant.GRANT_TYPE in metadata["grant_types_supported"]


def test_nothing_secret_is_logged_at_the_most_talkative_level(
    ada: Client, capsys: pytest.CaptureFixture[str]
):
    """Authlib writes whole tokens at DEBUG."""
    root = logging.getLogger().level
    configure_logging(ada.settings.model_copy(update={"log_level": LogLevel.DEBUG}))
    try:
        body = ada.sign_in("ada")
        refreshed = ada.refresh(body["refresh_token"]).json
        ada.ask_token(**SIGN_IN | {"password": "very wrong indeed"})
    finally:
        configure_logging(ada.settings)
        logging.getLogger().setLevel(root)
    printed = "".join(capsys.readouterr())
    assert "signed_in" in printed
    assert "sign_in_failed" in printed
    secrets = [body["access_token"], body["refresh_token"], refreshed["refresh_token"]]
    assert not [secret for secret in (*secrets, PASSWORD, "very wrong") if secret in printed]


def test_twenty_wrong_passwords_are_429_and_lock_nobody_out_for_good(ada: Client):
    limited = Client(ada.settings)
    limited.app = _with_limits(ada)
    statuses = [limited.ask_token(**SIGN_IN | {"password": "wrong"}) for _ in range(20)]
    assert [answer.status_code for answer in statuses] == [400] * 10 + [429] * 10
    assert 0 < int(statuses[-1].headers["Retry-After"]) <= 60
    limited.close()


def _with_limits(client: Client):
    return create_app(client.settings.model_copy(update={"web_rate_limits": True}))
