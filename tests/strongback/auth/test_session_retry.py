"""Refresh tokens sent again: by a client whose response was lost, and by a thief."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr
from structlog.testing import capture_logs

from strongback.auth.refresh_token import Successors, hash_token, new_seed
from strongback.database import utc_now
from tests.support.process import long_only
from tests.support.sign_in import Client
from tests.support.sign_in import shared_client as client
from tests.support.sign_in import shared_sqlite_client as sqlite_client

__all__ = ["client", "sqlite_client"]

pytestmark = pytest.mark.speaks_sql

GRACE = timedelta(seconds=10)


@dataclass
class Clock:
    """A clock that a test sets."""

    now: datetime = field(default_factory=utc_now)

    def __call__(self) -> datetime:
        return self.now


@contextmanager
def clock_of(client: Client) -> Iterator[Clock]:
    clock = client.sessions._clock = Clock()
    yield clock
    client.sessions._clock = utc_now


class TestRetry:
    def test_gets_the_same_successor_and_an_access_token_that_is_good(self, client: Client):
        client.account("ada")
        token = client.open_session("ada")["refresh_token"]
        with capture_logs() as logs:
            answers = [client.refresh(token).json for _ in range(3)]
        assert len({answer["refresh_token"] for answer in answers}) == 1
        assert [client.status(answer["access_token"]) for answer in answers] == [200] * 3
        assert [entry["event"] for entry in logs] == ["refresh_token_repeated"] * 2
        assert client.refresh(answers[0]["refresh_token"]).status_code == 200

    @pytest.mark.parametrize("seconds, status", [(9.9, 200), (10, 400), (-9.9, 200), (-3600, 400)])
    def test_is_answered_for_ten_seconds_whichever_way_the_clock_is_set(
        self, sqlite_client: Client, seconds: float, status: int
    ):
        sqlite_client.account("ada")
        token = sqlite_client.open_session("ada")["refresh_token"]
        with clock_of(sqlite_client) as clock:
            successor = sqlite_client.refresh(token).json
            clock.now += timedelta(seconds=seconds)
            assert status == sqlite_client.refresh(token).status_code
        assert sqlite_client.status(successor["access_token"]) == (200 if status == 200 else 401)

    def test_does_not_lengthen_the_grace(self, sqlite_client: Client):
        sqlite_client.account("ada")
        token = sqlite_client.open_session("ada")["refresh_token"]
        with clock_of(sqlite_client) as clock:
            statuses = []
            for _ in range(4):
                statuses.append(sqlite_client.refresh(token).status_code)
                clock.now += timedelta(seconds=4)
        assert statuses == [200, 200, 200, 400]

    def test_may_narrow_its_access_token_as_any_refresh_may(self, sqlite_client: Client):
        sqlite_client.account("ada")
        token = sqlite_client.open_session("ada")["refresh_token"]
        sqlite_client.refresh(token)
        again = sqlite_client.refresh(token, scope="profile:read").json
        assert again["scope"] == "profile:read"

    def test_after_the_session_was_ended_gets_nothing(self, sqlite_client: Client):
        sqlite_client.account("ada")
        token = sqlite_client.open_session("ada")["refresh_token"]
        answer = sqlite_client.refresh(token).json
        sqlite_client.call("POST", "/auth/revoke", data={"token": answer["access_token"]})
        assert sqlite_client.refresh(token).status_code == 400

    def test_is_answered_after_a_change_of_the_secret(self, sqlite_client: Client):
        sqlite_client.account("ada")
        token = sqlite_client.open_session("ada")["refresh_token"]
        successor = sqlite_client.refresh(token).json["refresh_token"]
        old = sqlite_client.settings.app_secret_key.get_secret_value()
        changed = Client(
            sqlite_client.settings.model_copy(
                update={
                    "app_secret_key": SecretStr("n" * 40),
                    "app_secret_keys_old": SecretStr(old),
                }
            )
        )
        assert changed.refresh(token).json["refresh_token"] == successor
        changed.close()


class TestSuccessors:
    def test_none_follows_from_less_than_token_seed_and_secret(self):
        seed = new_seed()
        right = Successors(["secret"]).new("token", seed)
        others = [
            Successors(["other"]).new("token", seed),
            Successors(["secret"]).new("other", seed),
            Successors(["secret"]).new("token", new_seed()),
        ]
        assert right not in others
        assert len(right) == 43
        assert Successors(["new", "secret"]).candidates("token", seed)[hash_token(right)] == right


# Somebody sends the token that they hold, or one of those before it, after some seconds. A thief
# is no other person than an owner to the server: who holds what is what the model keeps.
STEP = st.tuples(
    st.sampled_from(["owner", "thief"]),
    st.sampled_from(["last", "before", "stolen"]),
    st.sampled_from([0, 0, 1, 9, 11, 900]),
)


@dataclass
class Session:
    """The rule in the fewest words: one line of tokens, of which the last is good."""

    line: list[str]
    spent_at: list[datetime] = field(default_factory=list)
    is_over: bool = False

    def expected(self, token: str, now: datetime) -> str | None:
        """What a refresh must give; `new` for a token that nobody has seen."""
        place = self.line.index(token)
        if self.is_over:
            return None
        if place == len(self.line) - 1:
            self.spent_at.append(now)
            return "new"
        if place == len(self.line) - 2 and now - self.spent_at[place] < GRACE:
            return self.line[-1]
        self.is_over = True
        return None


@pytest.fixture
def ada_client(client: Client) -> Client:
    """A client with an account, which all examples sign in to."""
    client.account("ada")
    return client


# The rule is the same on MariaDB, whose locks `TestRetry` and test_session_processes meet.
@pytest.mark.parametrize("database_url", ["sqlite", *long_only("mariadb_server")], indirect=True)
@settings(
    max_examples=40 if "TEST_LONG" in os.environ else 8,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=st.lists(STEP, min_size=2, max_size=8))
def test_a_retry_and_a_thief_in_any_order_are_told_apart_by_the_rule(
    ada_client: Client, is_long: bool, steps: list[Any]
):
    with clock_of(ada_client) as clock:
        first = ada_client.open_session("ada")["refresh_token"]
        session = Session([first])
        held = {"owner": [first], "thief": [first]}
        for who, which, seconds in steps:
            clock.now += timedelta(seconds=seconds)
            mine = held[who]
            token = {"last": mine[-1], "before": mine[-2:][0], "stolen": session.line[-1]}[which]
            expected = session.expected(token, clock.now)
            answer = ada_client.refresh(token)
            assert answer.status_code == (400 if expected is None else 200)
            if expected is None:
                continue
            given_token = answer.json["refresh_token"]
            if expected == "new":
                assert given_token not in session.line
                session.line.append(given_token)
            assert session.line[-1] == given_token
            mine.append(given_token)
        assert (ada_client.refresh(session.line[-1]).status_code == 200) == (not session.is_over)
