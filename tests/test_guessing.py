"""Guessing passwords on the whole application: what stops it, and whom it must not stop."""

from __future__ import annotations

from typing import Any

import pytest
from argon2 import PasswordHasher
from sqlalchemy import delete, update

from app.core.config import Settings
from app.core.permission import Role
from app.user.model import User
from strongback.testing.redis import RedisServer
from strongback.web import init_limits
from strongback.web.limit import FAR, NEAR
from tests.support.kept import Kept
from tests.support.process import long_only
from tests.support.sign_in import PASSWORD, TOKEN, Client

HOME, ELSEWHERE = "192.0.2.1", "203.0.113.9"


class Door:
    """The application with its limits, and people at several addresses."""

    def __init__(self, client: Client) -> None:
        self.client = client
        client.empty()
        init_limits(
            client.app,
            client.settings.model_copy(update={"web_rate_limits": True}),
            client.app.redis,
        )
        client.account("ada")
        self.cheapen("ada")

    def cheapen(self, name: str) -> None:
        """Have a password whose check takes no time, until it was right: guesses are many."""
        database = self.client.database
        stored = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
        change = update(User).where(User.username == name).values(password_hash=stored)
        database.transact(lambda session: session.execute(change))

    def sign_in(self, address: str, password: str = PASSWORD, name: str = "ada") -> Any:
        """Try a password."""
        form = {"grant_type": "password", "username": name, "password": password}
        client = self.client.app.test_client()
        return client.post(TOKEN, data=form, environ_base={"REMOTE_ADDR": address})

    def guess(self, address: str, times: int = 1, name: str = "ada") -> list[int]:
        """Try wrong ones."""
        return [self.sign_in(address, "a wrong one", name).status_code for _ in range(times)]


@pytest.fixture(params=["memory", pytest.param("redis_server", id="redis")])
def door(request: pytest.FixtureRequest, kept: Kept, settings: Settings) -> Door:
    """The application with each kind of count in turn."""
    if request.param != "memory":
        server: RedisServer = request.getfixturevalue(request.param)
        settings = settings.model_copy(update={"redis_url": server.url})
    return Door(kept.get(Client, settings))


def close_to_strangers(door: Door) -> None:
    """Have so many networks guess that those that are not known are refused; see `FAR`."""
    door.cheapen("ada")
    for number in range(FAR.most // NEAR.free):
        assert door.guess(f"198.51.100.{number}", NEAR.free) == [400] * NEAR.free


class TestOwner:
    def test_elsewhere_signs_in_while_a_stranger_guesses(self, door: Door):
        assert set(door.guess(ELSEWHERE, 40)) == {400, 429}
        assert [door.sign_in(HOME).status_code for _ in range(10)] == [200] * 10

    def test_of_a_known_network_signs_in_after_everybody_has_guessed(self, door: Door):
        assert door.sign_in(HOME).status_code == 200
        close_to_strangers(door)
        refused = door.sign_in(ELSEWHERE)
        assert (refused.status_code, refused.headers["Retry-After"]) == (429, "3600")
        assert "Sign in by a code" in refused.json["message"]
        assert door.sign_in(HOME).status_code == 200
        assert door.sign_in(ELSEWHERE).status_code == 200, "a sign-in ends the row of failures"

    # Two hundred guesses, which Redis counts in the tests beside this one.
    @pytest.mark.parametrize("door", ["memory", *long_only("redis_server")], indirect=True)
    def test_signs_in_from_where_a_name_was_registered_that_was_guessed_before(self, door: Door):
        # Most guess at an account that goes: to check nobody's password takes as long as any.
        door.client.account("new")
        door.cheapen("new")
        for number in range(1, FAR.most // NEAR.free):
            assert door.guess(f"198.51.100.{number}", NEAR.free, "new") == [400] * NEAR.free
        database, gone = door.client.database, delete(User).where(User.username == "new")
        database.transact(lambda session: session.execute(gone))
        assert door.guess("198.51.100.0", NEAR.free, "new") == [400] * NEAR.free
        assert door.guess("192.0.2.99", 1, "new") == [429]
        client = door.client.app.test_client()
        account = {"username": "new", "password": PASSWORD}
        at_home = {"REMOTE_ADDR": HOME}
        answer = client.post("/api/v1/users", json=account, environ_base=at_home)
        assert answer.status_code == 201
        assert door.sign_in(HOME, name="new").status_code == 200

    def test_is_let_in_again_by_an_administrator(self, door: Door):
        close_to_strangers(door)
        assert door.sign_in(HOME).status_code == 429
        door.client.account("root", Role.ADMIN)
        root = door.sign_in(HOME, name="root").json["access_token"]
        answer = door.client.call("PATCH", "/users/ada", root, json={"disabled": False})
        assert answer.status_code == 200
        assert door.sign_in(HOME).status_code == 200

    def test_who_mistypes_starts_anew_after_signing_in(self, door: Door):
        for _ in range(3):
            assert door.guess(HOME, NEAR.free - 1) == [400] * (NEAR.free - 1)
            assert door.sign_in(HOME).status_code == 200

    def test_of_a_phone_network_is_known_by_its_64_bits(self, door: Door):
        door.sign_in("2001:db8:1:2::7")
        close_to_strangers(door)
        assert door.sign_in("2001:db8:1:3::7").status_code == 429
        assert door.sign_in("2001:db8:1:2:ffff::1").status_code == 200


class TestStranger:
    def test_waits_longer_after_each_guess(self, door: Door):
        answers = [door.sign_in(ELSEWHERE, "a wrong one") for _ in range(NEAR.free + 1)]
        assert answers[-1].status_code == 429
        assert 0 < int(answers[-1].headers["Retry-After"]) <= NEAR.first
        assert '"account-name";q=10;w=60' in answers[0].headers["RateLimit-Policy"]
        assert '"account-name";r=9' in answers[0].headers["RateLimit"]
        assert door.sign_in(ELSEWHERE).status_code == 429

    def test_of_many_networks_has_a_hundred_guesses_in_all(self, door: Door):
        close_to_strangers(door)
        assert door.guess("198.51.100.200", 3) == [429] * 3

    def test_learns_nothing_from_it_about_a_name(self, door: Door):
        """Headers and bodies of a name that is there are those of a name that is not."""
        seen: list[list[Any]] = []
        for name, address in (("ada", ELSEWHERE), ("nobody", HOME)):
            answers = [door.sign_in(address, "a wrong one", name) for _ in range(NEAR.free + 1)]
            seen.append([(each.status_code, each.json["message"]) for each in answers])
            seen[-1] += [sorted(answers[0].headers.keys()), answers[0].headers["RateLimit"]]
        assert seen[0] == seen[1]

    def test_cannot_go_on_with_a_token_that_was_found(self, door: Door):
        token = door.sign_in(HOME).json["access_token"]
        change = {"current_password": "a wrong one", "new_password": "another good one"}
        client = door.client.app.test_client()
        statuses = [
            client.put(
                "/api/v1/users/me/password",
                json=change,
                headers={"Authorization": f"Bearer {token}"},
                environ_base={"REMOTE_ADDR": ELSEWHERE},
            ).status_code
            for _ in range(NEAR.free + 2)
        ]
        assert statuses == [422] * NEAR.free + [429] * 2
        assert door.guess(ELSEWHERE) == [429], "the same guesses by another door"
