from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, func, select, update
from structlog.testing import capture_logs

from app.core.permission import ROLES, Role
from strongback.auth.session_cache import SIZE, TTL, SessionState, StateCache
from strongback.auth.session_model import AuthSession, RefreshToken
from strongback.auth.session_service import LIFETIME, Device
from strongback.database import utc_now
from strongback.migration.runner import upgrade
from tests.support.sign_in import Client
from tests.support.sign_in import shared_client as client
from tests.support.sign_in import shared_sqlite_client as sqlite_client
from tests.support.sign_in import sqlite_client as own_client
from tests.support.thread import run_together

__all__ = ["client", "own_client", "sqlite_client"]

pytestmark = pytest.mark.speaks_sql


def count(client: Client, model: type) -> int:
    with client.database.scope():
        return client.database.session.scalar(select(func.count()).select_from(model)) or 0


class TestRotation:
    def test_each_refresh_token_is_good_once(self, client: Client):
        client.account("ada")
        tokens = client.open_session("ada")
        for _ in range(3):
            tokens = client.refresh(tokens["refresh_token"]).json
            assert client.status(tokens["access_token"]) == 200

    def test_a_second_use_ends_the_session_and_no_other(self, client: Client):
        client.account("ada")
        other_device = client.open_session("ada")
        first = client.open_session("ada")
        used = client.refresh(first["refresh_token"]).json
        second = client.refresh(used["refresh_token"]).json
        with capture_logs() as logs:
            answer = client.refresh(first["refresh_token"])
        assert (answer.status_code, answer.json["error"]) == (400, "invalid_grant")
        assert "refresh_token_reused" in [entry["event"] for entry in logs]
        assert client.status(first["access_token"]) == 401
        assert client.status(second["access_token"]) == 401
        assert client.refresh(second["refresh_token"]).status_code == 400
        assert client.status(other_device["access_token"]) == 200
        assert client.refresh(other_device["refresh_token"]).status_code == 200

    def test_only_hashes_are_stored(self, sqlite_client: Client):
        sqlite_client.account("ada")
        tokens = sqlite_client.open_session("ada")
        with sqlite_client.database.scope():
            stored = sqlite_client.database.session.scalars(select(RefreshToken.token_hash)).one()
        assert tokens["refresh_token"] not in stored
        assert len(stored) == 64

    def test_a_successor_is_not_stored_either(self, sqlite_client: Client):
        sqlite_client.account("ada")
        tokens = sqlite_client.refresh(sqlite_client.open_session("ada")["refresh_token"]).json
        with sqlite_client.database.engine.connect() as connection:
            rows = connection.exec_driver_sql("SELECT * FROM sb_refresh_token").all()
        assert len(rows) == 2
        assert tokens["refresh_token"] not in str(rows)

    @pytest.mark.parametrize(
        "change", [{"expires_at": utc_now() - timedelta(seconds=1)}, {"revoked_at": utc_now()}]
    )
    def test_a_session_that_is_over_gives_no_tokens_and_is_no_theft(
        self, sqlite_client: Client, change: dict[str, Any]
    ):
        sqlite_client.account("ada")
        tokens = sqlite_client.open_session("ada")
        sqlite_client.change_sessions(**change)
        with capture_logs() as logs:
            assert sqlite_client.refresh(tokens["refresh_token"]).status_code == 400
        assert "refresh_token_reused" not in [entry["event"] for entry in logs]
        assert sqlite_client.status(tokens["access_token"]) == 401

    def test_a_session_ends_after_its_longest_life_however_much_it_is_used(
        self, sqlite_client: Client
    ):
        sqlite_client.account("ada")
        tokens = sqlite_client.open_session("ada")
        sqlite_client.change_sessions(
            created_at=utc_now() - LIFETIME + timedelta(days=1),
            expires_at=utc_now() + timedelta(days=1),
        )
        assert sqlite_client.refresh(tokens["refresh_token"]).status_code == 200
        with sqlite_client.database.scope():
            end = sqlite_client.database.session.scalars(select(AuthSession.expires_at)).one()
        assert end - utc_now() < timedelta(days=1)

    def test_signing_in_with_a_password_that_was_just_replaced_opens_nothing(self, client: Client):
        """The password was right when it was checked, and is not when the session opens."""
        user = client.account("ada")
        users = client.sessions.accounts
        with client.database.scope():
            account = users.account(user.id)
            assert account is not None
            user = client.database.session.merge(user)
            client.database.transact(lambda _: setattr(user, "password_changed_at", utc_now()))
            assert client.sessions.open(account, "strongback", None, Device()) is None


class TestBound:
    def test_one_session_too_many_ends_the_one_unused_for_longest(
        self, client: Client, monkeypatch: pytest.MonkeyPatch
    ):
        client.account("ada")
        monkeypatch.setattr(client.sessions, "_max_sessions", 3)
        first, second, third = (client.open_session("ada") for _ in range(3))
        first = client.refresh(first["refresh_token"]).json
        fourth = client.open_session("ada")
        statuses = [client.status(each["access_token"]) for each in (first, second, third, fourth)]
        assert statuses == [200, 401, 200, 200]
        assert client.refresh(second["refresh_token"]).status_code == 400

    def test_sessions_of_others_and_those_that_are_over_do_not_count(
        self, client: Client, monkeypatch: pytest.MonkeyPatch
    ):
        client.account("ada")
        client.account("bob")
        monkeypatch.setattr(client.sessions, "_max_sessions", 2)
        bob, ada = client.open_session("bob"), client.open_session("ada")
        over = client.open_session("ada")
        client.call("POST", "/auth/revoke", data={"token": over["access_token"]})
        client.open_session("ada")
        assert [client.status(each["access_token"]) for each in (bob, ada)] == [200, 200]

    def test_many_who_sign_in_at_once_stay_within_it(
        self, client: Client, monkeypatch: pytest.MonkeyPatch
    ):
        client.account("ada")
        monkeypatch.setattr(client.sessions, "_max_sessions", 2)
        run_together(*[lambda: client.sign_in("ada")] * 4)
        with client.database.scope():
            live = select(func.count()).where(AuthSession.revoked_at.is_(None))
            assert client.database.session.scalar(live) == 2


class TestState:
    def test_a_request_asks_the_database_nothing_while_the_session_is_remembered(
        self, client: Client, monkeypatch: pytest.MonkeyPatch
    ):
        client.account("ada")
        token = client.open_session("ada")["access_token"]
        cache = StateCache(lambda: 0.0)  # a slow machine must not outlast it
        monkeypatch.setattr(client.sessions, "cache", cache)
        path = "/users/ada"
        client.call("GET", path, token)
        statements: list[str] = []
        event.listen(
            client.database.engine,
            "before_cursor_execute",
            lambda *args: statements.append(args[2]),
        )
        client.call("GET", path)
        anonymous = len(statements)
        client.call("GET", path, token)
        assert anonymous == len(statements) - anonymous
        client.sessions.cache.forget()
        client.call("GET", path, token)
        # The session is read again; its account may be remembered for a moment longer.
        assert len(statements) - 3 * anonymous in {1, 2}

    def test_roles_that_change_count_at_once_here(self, sqlite_client: Client):
        sqlite_client.account("ada")
        sqlite_client.account("root", Role.ADMIN)
        ada, root = (sqlite_client.open_session(name)["access_token"] for name in ("ada", "root"))
        path, body = "/users/ada/roles", {"roles": ["admin"]}
        assert sqlite_client.call("PUT", path, ada, json=body).status_code == 403
        assert sqlite_client.call("PUT", path, root, json=body).status_code == 200
        assert sqlite_client.call("PUT", path, ada, json=body).status_code == 200


STATE = SessionState("s", 1, "ada", ROLES[Role.USER], None, utc_now())


class Reader:
    """Reads one state, and remembers what it was asked for."""

    def __init__(self, state: SessionState | None = STATE) -> None:
        self.state = state
        self.asked: list[str] = []

    def __call__(self, session_id: str) -> SessionState | None:
        self.asked.append(session_id)
        return self.state


class TestCache:
    def test_a_state_is_read_again_after_its_time(self):
        now, read = [0.0], Reader()
        cache = StateCache(lambda: now[0])
        for moment in (0.0, TTL - 0.01, TTL + 0.01, TTL + 0.02):
            now[0] = moment
            cache.get("s", read)
        assert len(read.asked) == 2
        assert TTL < 1

    def test_the_time_counts_from_before_the_state_was_read(self):
        now = [0.0]

        def slow(_: str) -> SessionState:
            now[0] += TTL
            return STATE

        cache, read = StateCache(lambda: now[0]), Reader()
        cache.get("s", slow)
        cache.get("s", read)
        assert read.asked == ["s"]

    def test_a_session_that_is_not_good_is_remembered_too(self):
        cache, read = StateCache(), Reader(None)
        for _ in range(2):
            assert cache.get("s", read) is None
        assert read.asked == ["s"]

    def test_what_was_read_before_it_was_forgotten_does_not_come_back(self):
        cache = StateCache()

        def overtaken(_: str) -> SessionState:
            cache.forget("s")
            return STATE

        assert cache.get("s", overtaken) is STATE
        assert cache.get("s", lambda _: None) is None

    def test_its_size_is_bounded(self):
        cache = StateCache()
        for number in range(SIZE + 10):
            cache.get(str(number), lambda _: STATE)
        assert len(cache._entries) == SIZE


class TestClean:
    def test_what_is_over_is_deleted(self, client: Client):
        client.account("ada")
        for _ in range(5):
            client.open_session("ada")
        client.change_sessions(
            expires_at=utc_now() - timedelta(days=61), last_used_at=utc_now() - timedelta(days=91)
        )
        kept = client.open_session("ada")
        refreshed = client.refresh(kept["refresh_token"]).json
        with client.database.scope():
            assert client.sessions.clean() == 5
        assert (count(client, AuthSession), count(client, RefreshToken)) == (1, 2)
        assert client.status(refreshed["access_token"]) == 200

    def test_used_tokens_are_kept_as_long_as_a_second_use_matters(self, sqlite_client: Client):
        sqlite_client.account("ada")
        sqlite_client.refresh(sqlite_client.open_session("ada")["refresh_token"])
        with sqlite_client.database.scope():
            assert sqlite_client.sessions.clean() == 0
            sqlite_client.database.transact(
                lambda session: session.execute(
                    update(RefreshToken)
                    .where(RefreshToken.used_at.is_not(None))
                    .values(used_at=utc_now() - timedelta(days=31))
                )
            )
            assert sqlite_client.sessions.clean() == 1

    def test_the_command_says_how_many(self, own_client: Client):
        own_client.database.close()
        (own_client.settings.app_var_dir / "app.db").unlink()
        upgrade(own_client.app)
        own_client.account("ada")
        own_client.open_session("ada")
        own_client.change_sessions(
            expires_at=utc_now() - timedelta(days=61), last_used_at=utc_now() - timedelta(days=91)
        )
        result = own_client.app.test_cli_runner().invoke(args=["auth", "clean"])
        assert result.output == "Deleted 1 sessions and tokens.\n"
