from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from structlog.testing import capture_logs

from app.core.permission import Role
from strongback.database import utc_now
from tests.support.sign_in import PASSWORD, Client
from tests.support.sign_in import shared_client as client
from tests.support.sign_in import shared_sqlite_client as sqlite_client
from tests.support.thread import run_together

__all__ = ["client", "sqlite_client"]

pytestmark = pytest.mark.speaks_sql

NEW = {"username": "ada", "password": PASSWORD}


class TestRegistration:
    def test_an_account_is_made_and_can_sign_in(self, client: Client):
        answer = client.call(
            "POST", "/users", json=NEW | {"email": "ada@example.org", "phone": "+8613800138000"}
        )
        assert (answer.status_code, answer.headers["Location"]) == (201, "/api/v1/users/ada")
        assert {"username": "ada", "roles": ["user"], "email": "ada@example.org"}.items() <= dict(
            answer.json
        ).items()
        assert "password_hash" not in answer.json
        assert client.sign_in("ada")

    def test_a_name_is_taken_however_it_is_written(self, client: Client):
        client.account("ada")
        for name in ("ada", "ADA", "ａｄａ", " ada "):
            answer = client.call("POST", "/users", json=NEW | {"username": name})
            assert (answer.status_code, answer.json["error_code"]) == (409, 20002)

    def test_two_at_once_make_one_account(self, client: Client):
        def register() -> int:
            return int(client.call("POST", "/users", json=NEW).status_code)

        assert sorted(run_together(*[register] * 4)) == [201, 409, 409, 409]

    def test_address_and_number_of_another_account_are_taken_without_a_word(
        self, sqlite_client: Client
    ):
        contact = {"email": "ada@example.org", "phone": "+8613800138000"}
        first = sqlite_client.call("POST", "/users", json=NEW | contact)
        second = sqlite_client.call("POST", "/users", json=NEW | contact | {"username": "bob"})
        assert (first.status_code, second.status_code) == (201, 201)

    @pytest.mark.parametrize(
        "field, value",
        [
            ("roles", ["admin"]),
            ("id", 1),
            ("disabled", False),
            ("password_hash", "x"),
            ("email", "nobody"),
            ("email", "<a@b.example>"),
            ("email", "Ada <a@b.example>"),
            ("email", "mailto:a@b.example"),
            ("email", "a\u200b@b.example"),
            ("email", "a@b.\u202eexample"),
            ("email", "a@b.example\n"),
            ("email", "a@b.example,c@d.example"),
            ("email", "a" * 65 + "@b.example"),
            ("email", "a@[127.0.0.1]"),
            ("email", "a@localhost"),
            ("email", "a\0@b.example"),
            ("phone", "+86013800138000"),
            ("phone", "+8613800138000\n"),
            ("phone", "+86\u200b13800138000"),
            ("phone", "+٨٦١٣٨٠٠١٣٨٠٠٠"),
            ("email", "a@b c.org"),
            ("email", f"{'a' * 300}@example.org"),
            ("phone", "13800138000"),
            ("phone", "+1"),
            ("username", "a"),
            ("username", "a b c"),
            ("username", "me"),
            ("username", "../etc"),
        ],
    )
    def test_what_an_account_may_not_have_is_refused(self, sqlite_client: Client, field, value):
        answer = sqlite_client.call("POST", "/users", json=NEW | {field: value})
        assert answer.status_code == 422
        assert f"body.{field}" == answer.json["errors"][0]["field"].split("[")[0]

    @pytest.mark.parametrize(
        "password",
        [
            "short",
            "x" * 129,
            "password",
            "PASSWORD123",
            "1234567890",
            "Woaini1314",
            "adalovelace",
            "Strongback",
            " " * 8,
            "\u200b" * 8,
        ],
    )
    def test_an_easy_password_is_refused(self, sqlite_client: Client, password: str):
        answer = sqlite_client.call(
            "POST", "/users", json={"username": "adalovelace", "password": password}
        )
        assert answer.status_code == 422
        assert answer.json["errors"][0]["field"] == "body.password"

    @pytest.mark.parametrize(
        "password", ["x" * 128, "ünïcödé páss", "四个字的密码不够长", " x" * 8]
    )
    def test_any_other_is_taken(self, sqlite_client: Client, password: str):
        sqlite_client.account("ada", password=password)
        assert sqlite_client.sign_in("ada", password)


class TestProfile:
    def test_the_owner_reads_and_changes_it(self, client: Client):
        token = client.signed_in("ada")
        answer = client.call("PATCH", "/users/me", token, json={"email": "a@example.org"})
        assert answer.json["email"] == "a@example.org"
        assert client.call("GET", "/users/me", token).json["email"] == "a@example.org"
        assert None is client.call("PATCH", "/users/me", token, json={"email": None}).json["email"]

    @pytest.mark.parametrize("email", ["ａda＠example。org", "ada@ｅxample.org", "ada@EXAMPLE.org"])
    def test_an_address_has_one_spelling(self, sqlite_client: Client, email: str):
        token = sqlite_client.signed_in("ada")
        answer = sqlite_client.call("PATCH", "/users/me", token, json={"email": email})
        assert answer.json["email"] == "ada@example.org"

    def test_a_change_of_an_outdated_copy_is_refused(self, client: Client):
        token = client.signed_in("ada")
        seen = {"If-Match": client.call("GET", "/users/me", token).headers["ETag"]}
        change = {"email": "a@example.org"}
        first = client.call("PATCH", "/users/me", token, json=change, headers=seen)
        second = client.call("PATCH", "/users/me", token, json={"email": None}, headers=seen)
        assert (first.status_code, second.status_code) == (200, 412)
        assert client.call("GET", "/users/me", token).json["email"] == "a@example.org"

    def test_what_it_does_not_name_stays(self, sqlite_client: Client):
        token = sqlite_client.signed_in("ada")
        sqlite_client.call("PATCH", "/users/me", token, json={"email": "a@example.org"})
        answer = sqlite_client.call("PATCH", "/users/me", token, json={"phone": "+4915112345678"})
        assert (answer.json["email"], answer.json["phone"]) == ("a@example.org", "+4915112345678")

    @pytest.mark.parametrize("field", ["username", "roles", "disabled", "password_hash", "id"])
    def test_nothing_else_can_be_changed(self, sqlite_client: Client, field: str):
        token = sqlite_client.signed_in("ada")
        assert sqlite_client.call("PATCH", "/users/me", token, json={field: "x"}).status_code == 422

    def test_others_do_not_see_address_and_number(self, sqlite_client: Client):
        sqlite_client.account("ada")
        assert {"id", "username", "avatar_url", "created_at"} == sqlite_client.call(
            "GET", "/users/ada"
        ).json.keys()

    def test_roles_are_for_their_owner_and_for_administrators(self, sqlite_client: Client):
        sqlite_client.account("ada")
        sqlite_client.account("root", Role.ADMIN)
        ada, root = (sqlite_client.sign_in(name)["access_token"] for name in ("ada", "root"))
        narrow = sqlite_client.sign_in("root", scope="profile:read")["access_token"]
        for token in (None, ada, narrow):
            entries = sqlite_client.call("GET", "/users", token).json["items"]
            entries.append(sqlite_client.call("GET", "/users/root", token).json)
            assert {"id", "username", "avatar_url", "created_at"} == set().union(*entries)
        entries = sqlite_client.call("GET", "/users", root).json["items"]
        assert [entry["roles"] for entry in entries] == [["user"], ["admin"]]
        assert sqlite_client.call("GET", "/users/ada", root).json["roles"] == ["user"]
        assert sqlite_client.call("GET", "/users/me", ada).json["roles"] == ["user"]
        assert sqlite_client.call("GET", "/users/nobody", root).json["error_code"] == 20001

    def test_an_administrators_answer_is_no_shared_caches_to_keep(self, sqlite_client: Client):
        root = sqlite_client.signed_in("root", Role.ADMIN)
        public = sqlite_client.call("GET", "/users/root")
        private = sqlite_client.call("GET", "/users/root", root)
        assert private.headers["Cache-Control"] == "private, no-cache"
        tag = {"If-None-Match": public.headers["ETag"]}
        assert sqlite_client.call("GET", "/users/root", root, headers=tag).status_code == 200

    def test_a_public_answer_shows_no_change_of_what_is_private(self, sqlite_client: Client):
        token = sqlite_client.signed_in("ada")
        before = sqlite_client.call("GET", "/users/ada").headers
        sqlite_client.call("PATCH", "/users/me", token, json={"email": "a@example.org"})
        after = sqlite_client.call("GET", "/users/ada").headers
        assert before["ETag"] == after["ETag"]
        assert "Last-Modified" not in after

    def test_what_one_caller_gets_no_shared_cache_keeps(self, sqlite_client: Client):
        for name in ("ada", "bob"):
            sqlite_client.account(name)
        ada, bob = (sqlite_client.sign_in(name)["access_token"] for name in ("ada", "bob"))
        answer = sqlite_client.call("GET", "/users/me", ada)
        assert (
            answer.headers["Cache-Control"],
            answer.headers["Vary"],
        ) == ("private, no-cache", "Authorization")
        tag = {"If-None-Match": answer.headers["ETag"]}
        assert sqlite_client.call("GET", "/users/me", ada, headers=tag).status_code == 304
        assert sqlite_client.call("GET", "/users/me", bob, headers=tag).status_code == 200


class TestPassword:
    def test_a_change_ends_every_other_session(self, client: Client):
        client.account("ada")
        here, there = client.open_session("ada"), client.open_session("ada")
        body = {"current_password": PASSWORD, "new_password": "another good one"}
        answer = client.call("PUT", "/users/me/password", here["access_token"], json=body)
        assert answer.status_code == 204
        assert client.status(here["access_token"]) == 200
        assert client.refresh(here["refresh_token"]).status_code == 200
        assert client.status(there["access_token"]) == 401
        assert client.refresh(there["refresh_token"]).status_code == 400
        assert client.sign_in("ada", "another good one")
        assert (
            client.ask_token(grant_type="password", username="ada", password=PASSWORD).json["error"]
            == "invalid_grant"
        )

    @pytest.mark.parametrize(
        "current, new, field",
        [("wrong", "another good one", "current_password"), (PASSWORD, "password", "new_password")],
    )
    def test_a_refused_change_changes_nothing(self, sqlite_client: Client, current, new, field):
        token = sqlite_client.signed_in("ada")
        body = {"current_password": current, "new_password": new}
        answer = sqlite_client.call("PUT", "/users/me/password", token, json=body)
        assert (422, f"body.{field}") == (answer.status_code, answer.json["errors"][0]["field"])
        assert sqlite_client.sign_in("ada")

    def test_of_two_changes_at_once_one_counts(self, client: Client):
        token = client.signed_in("ada")

        def change(new: str) -> int:
            body = {"current_password": PASSWORD, "new_password": new}
            return int(client.call("PUT", "/users/me/password", token, json=body).status_code)

        statuses = run_together(lambda: change("the first one"), lambda: change("the second one"))
        assert sorted(statuses) == [204, 422]


LONG_AGO = {"created_at": utc_now() - timedelta(minutes=6)}
PHONE = "+8613800138000"


class TestRecentSignIn:
    """What could take the account from its owner needs more than an access token."""

    @pytest.mark.parametrize("moment", [LONG_AGO, {"created_at": utc_now() + timedelta(hours=1)}])
    @pytest.mark.parametrize(
        "method, path, body",
        [
            ("PATCH", "/users/me", {"phone": None}),
            ("PATCH", "/users/me", {"email": "eve@example.org"}),
            ("PUT", "/users/me/password", {"new_password": "another good one"}),
            ("PUT", "/users/me/phone", {"phone": PHONE, "code": "123456", "handle": "0" * 32}),
            ("DELETE", "/users/me/sessions", None),
            ("DELETE", "/users/me/sessions/another", None),
        ],
    )
    def test_a_sign_in_of_long_ago_is_told_how_to_go_on(
        self,
        sqlite_client: Client,
        method: str,
        path: str,
        body: object,
        moment: dict[str, datetime],
    ):
        token = sqlite_client.signed_in("ada")
        sqlite_client.change_sessions(**moment)
        answer = sqlite_client.call(method, path, token, json=body)
        assert (answer.status_code, answer.json["error_code"]) == (401, 11007)
        challenge = answer.headers["WWW-Authenticate"]
        assert 'error="insufficient_user_authentication"' in challenge
        assert 'max_age="300"' in challenge

    def test_a_new_sign_in_is_enough(self, client: Client):
        old = client.signed_in("ada")
        client.change_sessions(**LONG_AGO)
        new = client.sign_in("ada")["access_token"]
        change = {"new_password": "another good one"}
        assert client.call("PUT", "/users/me/password", old, json=change).status_code == 401
        assert client.call("PUT", "/users/me/password", new, json=change).status_code == 204
        assert client.sign_in("ada", "another good one")

    def test_a_refresh_is_no_sign_in(self, sqlite_client: Client):
        sqlite_client.account("ada")
        tokens = sqlite_client.open_session("ada")
        sqlite_client.change_sessions(**LONG_AGO)
        token = sqlite_client.refresh(tokens["refresh_token"]).json["access_token"]
        answer = sqlite_client.call("PATCH", "/users/me", token, json={"phone": None})
        assert answer.status_code == 401

    def test_the_password_is_enough(self, client: Client):
        token = client.signed_in("ada")
        client.change_sessions(**LONG_AGO)
        change = {"email": "ada@example.org", "current_password": PASSWORD}
        answer = client.call("PATCH", "/users/me", token, json=change)
        assert (answer.status_code, answer.json["email"]) == (200, "ada@example.org")

    def test_a_wrong_password_is_refused_however_recent_the_sign_in(self, sqlite_client: Client):
        token = sqlite_client.signed_in("ada")
        change = {"email": "ada@example.org", "current_password": "a wrong one"}
        answer = sqlite_client.call("PATCH", "/users/me", token, json=change)
        assert (answer.status_code, answer.json["error_code"]) == (422, 20003)
        assert sqlite_client.call("GET", "/users/me", token).json["email"] is None

    def test_signing_out_and_reading_need_none(self, sqlite_client: Client):
        token = sqlite_client.signed_in("ada")
        sqlite_client.change_sessions(**LONG_AGO)
        assert sqlite_client.call("PATCH", "/users/me", token, json={}).status_code == 200
        [mine] = sqlite_client.call("GET", "/users/me/sessions", token).json["items"]
        answer = sqlite_client.call("DELETE", f"/users/me/sessions/{mine['id']}", token)
        assert answer.status_code == 204
        assert sqlite_client.status(token) == 401


class TestSessions:
    def test_all_but_this_one_are_ended(self, client: Client):
        client.account("ada")
        client.account("bob")
        bob, here, there = (client.sign_in(name) for name in ("bob", "ada", "ada"))
        assert client.call("DELETE", "/users/me/sessions", here["access_token"]).status_code == 204
        statuses = [client.status(each["access_token"]) for each in (bob, here, there)]
        assert statuses == [200, 200, 401]
        assert client.refresh(there["refresh_token"]).status_code == 400

    def test_the_owner_sees_the_devices(self, client: Client):
        client.account("ada")
        client.account("bob")
        client.sign_in("bob")
        tokens = client.sign_in("ada", scope="profile:read")
        client.sign_in("ada")
        answer = client.call("GET", "/users/me/sessions", tokens["access_token"])
        items = answer.json["items"]
        assert (answer.json["total"], len(items)) == (2, 2)
        assert [item["scope"] for item in items if item["current"]] == [["profile:read"]]
        assert {"127.0.0.1"} == {item["address"] for item in items}
        assert "Werkzeug" in items[0]["user_agent"]

    def test_one_is_ended_and_the_others_stay(self, client: Client):
        client.account("ada")
        here, there = client.open_session("ada"), client.open_session("ada")
        path = "/users/me/sessions"
        items = client.call("GET", path, here["access_token"]).json["items"]
        [other] = [item["id"] for item in items if not item["current"]]
        answer = client.call("DELETE", f"{path}/{other}", here["access_token"])
        assert answer.status_code == 204
        assert (
            client.status(here["access_token"]),
            client.status(there["access_token"]),
        ) == (200, 401)
        assert client.call("DELETE", f"{path}/{other}", here["access_token"]).status_code == 404

    def test_those_of_others_are_not_found(self, sqlite_client: Client):
        for name in ("ada", "eve"):
            sqlite_client.account(name)
        ada, eve = (sqlite_client.sign_in(name)["access_token"] for name in ("ada", "eve"))
        [item] = sqlite_client.call("GET", "/users/me/sessions", ada).json["items"]
        path = f"/users/me/sessions/{item['id']}"
        assert sqlite_client.call("DELETE", path, eve).status_code == 404
        assert sqlite_client.status(ada) == 200


class TestAdministration:
    def test_a_closed_account_is_signed_out_and_cannot_sign_in(self, client: Client):
        client.account("root", Role.ADMIN)
        client.account("ada")
        root, ada = client.open_session("root")["access_token"], client.open_session("ada")
        answer = client.call("PATCH", "/users/ada", root, json={"disabled": True})
        assert (answer.status_code, answer.json["disabled"]) == (200, True)
        assert client.status(ada["access_token"]) == 401
        assert client.refresh(ada["refresh_token"]).status_code == 400
        form = {"grant_type": "password", "username": "ada", "password": PASSWORD}
        assert client.ask_token(**form).status_code == 400
        client.call("PATCH", "/users/ada", root, json={"disabled": False})
        assert client.sign_in("ada")
        assert client.status(ada["access_token"]) == 401

    def test_roles_are_given_and_taken(self, client: Client):
        client.account("root", Role.ADMIN)
        client.account("ada")
        root, ada = (client.sign_in(name)["access_token"] for name in ("root", "ada"))
        answer = client.call("PUT", "/users/ada/roles", root, json={"roles": ["author", "user"]})
        assert (answer.status_code, answer.json["roles"]) == (200, ["author", "user"])
        assert client.call("PUT", "/users/root/roles", ada, json={"roles": []}).status_code == 403

    def test_sessions_of_others_are_seen_and_ended(self, client: Client):
        client.account("root", Role.ADMIN)
        client.account("ada")
        root = client.open_session("root")["access_token"]
        first, second = client.open_session("ada"), client.open_session("ada")
        path = "/users/ada/sessions"
        items = client.call("GET", path, root).json["items"]
        assert [item["current"] for item in items] == [False, False]
        [second_id] = [
            item["id"]
            for item in items
            if item["id"] == client.tokens().verify(second["access_token"]).session_id
        ]
        assert client.call("DELETE", f"{path}/{second_id}", root).status_code == 204
        assert [client.status(each["access_token"]) for each in (first, second)] == [200, 401]
        assert client.call("DELETE", f"{path}/{second_id}", root).status_code == 404
        with capture_logs() as logs:
            assert client.call("DELETE", path, root).status_code == 204
        assert [entry["event"] for entry in logs] == ["sessions_ended"]
        assert (client.status(first["access_token"]), client.status(root)) == (401, 200)
        assert client.call("DELETE", "/users/nobody/sessions", root).json["error_code"] == 20001

    def test_administrators_cannot_lock_themselves_out(self, sqlite_client: Client):
        root = sqlite_client.signed_in("root", Role.ADMIN)
        for method, path, body in (
            ("PATCH", "/users/root", {"disabled": True}),
            ("PUT", "/users/root/roles", {"roles": ["user"]}),
        ):
            answer = sqlite_client.call(method, path, root, json=body)
            assert (answer.status_code, answer.json["error_code"]) == (409, 20004)

    @pytest.mark.parametrize("roles", [["boss"], "admin", [1], None])
    def test_unknown_roles_are_refused(self, sqlite_client: Client, roles: object):
        root = sqlite_client.signed_in("root", Role.ADMIN)
        answer = sqlite_client.call("PUT", "/users/root/roles", root, json={"roles": roles})
        assert answer.status_code == 422

    def test_events_are_logged_without_secrets(self, sqlite_client: Client):
        sqlite_client.account("root", Role.ADMIN)
        sqlite_client.account("ada")
        with capture_logs() as logs:
            root = sqlite_client.sign_in("root")["access_token"]
            sqlite_client.call("PATCH", "/users/ada", root, json={"disabled": True})
            sqlite_client.call("PUT", "/users/ada/roles", root, json={"roles": []})
        events = [entry["event"] for entry in logs]
        assert events == ["signed_in", "account_disabled", "roles_changed"]
        assert PASSWORD not in str(logs)
