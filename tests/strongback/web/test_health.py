from __future__ import annotations

import pytest

from strongback.check import Checks, Use
from strongback.database import Database
from strongback.migration.branch import FIRST_EDITION
from strongback.migration.runner import upgrade
from strongback.web import init_health
from tests.support.first_edition import make_first_edition

PASSWORD = "hunter2"


def fail() -> None:
    raise ConnectionError(PASSWORD)


@pytest.fixture
def ask(bare):
    """Ask whether an application with these checks is ready."""

    def ask(**functions):
        checks = Checks()
        for name, function in functions.items():
            checks.add(name, function, use=Use.REQUIRED)
        init_health(bare, checks)
        return bare.test_client().get("/readyz")

    return ask


class TestLiveness:
    def test_is_200_and_not_stored(self, ask, bare):
        ask(broken=fail)
        response = bare.test_client().get("/livez")
        assert (response.status_code, response.json) == (200, {"status": "ok"})
        assert response.headers["Cache-Control"] == "no-store"


class TestReadiness:
    def test_is_200_if_every_service_answers(self, ask):
        response = ask(one=lambda: 0.1, two=lambda: None)
        assert (response.status_code, response.json["status"]) == (200, "ok")

    def test_is_503_if_one_fails(self, ask):
        response = ask(one=lambda: None, two=fail)
        assert (response.status_code, response.json["status"]) == (503, "unavailable")

    def test_is_200_if_only_something_fails_that_can_be_done_without(self, bare):
        checks = Checks()
        checks.add("one", lambda: None, use=Use.REQUIRED)
        checks.add("two", fail, use=Use.OPTIONAL)
        checks.add("three", fail, use=Use.DIAGNOSIS)
        init_health(bare, checks)
        response = bare.test_client().get("/readyz")
        assert (response.status_code, response.json["status"]) == (200, "ok")
        states = {name: state["status"] for name, state in response.json["services"].items()}
        assert states == {"one": "ok", "two": "unavailable"}

    def test_tells_which_one_fails(self, ask):
        services = ask(one=lambda: None, two=fail).json["services"]
        assert {name: state["status"] for name, state in services.items()} == {
            "one": "ok",
            "two": "unavailable",
        }

    def test_tells_how_long_each_took(self, ask):
        services = ask(one=lambda: None, two=fail).json["services"]
        assert all(0 <= state["latency_ms"] < 1000 for state in services.values())

    def test_is_not_stored(self, ask):
        assert ask(one=fail).headers["Cache-Control"] == "no-store"

    def test_does_not_tell_why(self, ask):
        assert PASSWORD.encode() not in ask(one=fail).data

    def test_logs_which_one_fails(self, ask, logs):
        ask(one=fail)
        (entry,) = logs.named("service_unavailable")
        assert (entry["service"], entry["error"]) == ("one", "ConnectionError")


class TestApplication:
    def test_is_not_ready_before_its_migrations_ran(self, small_app):
        response = small_app.test_client().get("/readyz")
        assert response.status_code == 503
        assert response.json["services"]["migrations"]["status"] == "unavailable"

    def test_is_ready_once_they_have(self, small_app, settings):
        Database(settings).close()
        small_app.close()
        (settings.app_var_dir / "app.db").unlink()
        upgrade(small_app)
        assert small_app.test_client().get("/readyz").status_code == 200

    def test_is_not_ready_on_a_database_of_the_first_edition_and_logs_the_remedy(
        self, small_app, logs
    ):
        make_first_edition(small_app.services[Database], max(FIRST_EDITION))
        response = small_app.test_client().get("/readyz")
        assert response.status_code == 503
        (entry,) = logs.named("service_unavailable")
        assert entry["service"] == "migrations"
        assert "back it up with the first edition" in entry["reason"]

    def test_is_not_ready_without_its_database(self, small_app, settings):
        small_app.close()
        path = settings.app_var_dir / "app.db"
        path.unlink()
        path.mkdir()
        response = small_app.test_client().get("/readyz")
        assert response.status_code == 503
        assert response.json["services"]["database"]["status"] == "unavailable"

    def test_is_alive_all_the_same(self, small_app, settings):
        small_app.close()
        (settings.app_var_dir / "app.db").unlink()
        assert small_app.test_client().get("/livez").status_code == 200
