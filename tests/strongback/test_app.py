from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from strongback import oauth, search, sms, task
from strongback.app import Strongback
from strongback.auth.permission import Permission
from strongback.config import LogFormat, LogLevel, Settings
from strongback.database import Database
from strongback.exceptions import ConfigurationError
from strongback.log.setup import LogConfig
from strongback.migration.runner import upgrade
from strongback.oauth import OAuthServer, SmsCodeGrant
from strongback.search import Attribute, Document, Index, Key
from strongback.search.query import Stamp
from strongback.task import TaskGroup
from strongback.task.permission import TaskPermission
from strongback.web import APIBlueprint, inject, needs, public

API = "/api/v1"


class Clock:
    """A service of the tests."""

    def strike(self) -> str:
        return "three"


class ClockPermission(Permission):
    """What may be done with it."""

    WIND = ("clock:wind", "Wind the clock.")


@pytest.fixture
def bare(settings: Settings) -> Iterator[Strongback]:
    """The framework alone: no part, no slice."""
    app = Strongback("bare", settings, title="Bare")
    yield app
    app.close()


class TestTwoInOneProcess:
    def test_may_have_settings_of_their_own(self, bare, settings, tmp_path):
        other = Strongback(
            "other", settings.model_copy(update={"app_var_dir": tmp_path / "other"}), title="Other"
        )
        other.close()
        assert bare.settings.app_var_dir != other.settings.app_var_dir

    @pytest.mark.parametrize(
        "change, variable",
        [
            ({"log_level": LogLevel.DEBUG}, "LOG_LEVEL"),
            ({"log_format": LogFormat.JSON}, "LOG_FORMAT"),
            ({"log_dir": Path("log")}, "LOG_DIR"),
            ({"web_metrics_dir": Path("metrics")}, "WEB_METRICS_DIR"),
        ],
    )
    def test_log_and_measure_alike(self, bare, settings, change, variable):
        with pytest.raises(ConfigurationError, match=f"^{variable}: other has .* than bare in"):
            Strongback("other", settings.model_copy(update=change), title="Other")

    def test_hide_the_same_secrets_in_the_log(self, settings):
        first = Strongback("first", settings, title="First", logging=LogConfig(secret_keys=["tea"]))
        with pytest.raises(ConfigurationError, match=r"^logging: other has .* than first in"):
            Strongback("other", settings, title="Other", logging=LogConfig(secret_keys=["milk"]))
        first.close()

    def test_log_otherwise_once_the_first_is_closed(self, settings):
        Strongback("first", settings, title="First").close()
        changed = settings.model_copy(update={"log_level": LogLevel.WARNING})
        Strongback("second", changed, title="Second").close()
        Strongback("third", settings, title="Third").close()


class Nobody:
    """No account."""

    def account(self, user_id: int, *, lock: bool = False) -> None:
        """There is none."""

    def check_password(self, username: str, password: str) -> None:
        """It is wrong."""

    def account_of_phone(self, phone: str) -> None:
        """There is none."""


def sign_in(app: Strongback, url_prefix: str) -> None:
    oauth.register(app, Nobody(), url_prefix)


class CupSource:
    """No cups, in an index of their own."""

    index = Index("cup", key="name", attributes=(Attribute("name", weight=1),))

    def count(self) -> int:
        return 0

    def batches(self, size: int) -> Iterator[Sequence[Document]]:
        yield from ()

    def stamps(self) -> Iterator[Stamp]:
        yield from ()

    def read(self, keys: Sequence[Key]) -> list[Document]:
        return []


# Views find their services in the module of their blueprint, so they stand in one of their own.
clock = inject(Clock)


def clock_routes(permission: Permission | None = None) -> APIBlueprint:
    api = APIBlueprint("clock", __name__, url_prefix="/clock")

    @api.get("")
    @(needs(permission) if permission else public)
    def read_clock() -> str:
        return clock.strike()

    return api


def strike(*_: object) -> None:
    clock.strike()


class TestCheckedAtStart:
    def test_a_service_that_a_view_names_and_nothing_provides(self, bare):
        bare.register_api(clock_routes())
        with pytest.raises(ConfigurationError, match=r"test_app asks for .*Clock, which nothing"):
            bare.checked()

    def test_a_service_that_a_task_names(self, bare):
        group = TaskGroup("clock")
        group.periodic("strike", every=timedelta(hours=1))(strike)
        task.register(bare, API).add(group)
        with pytest.raises(ConfigurationError, match=r"test_app asks for .*Clock, which nothing"):
            bare.checked()

    def test_a_service_that_a_command_names(self, bare):
        bare.cli.command("strike")(strike)
        with pytest.raises(ConfigurationError, match=r"test_app asks for .*Clock, which nothing"):
            bare.checked()

    def test_the_same_once_it_is_provided(self, bare):
        bare.provide(Clock())
        bare.register_api(clock_routes())
        assert bare.checked().test_client().get("/clock").json == {"data": "three"}

    def test_a_permission_that_no_role_has(self, bare):
        bare.provide(Clock())
        bare.register_api(clock_routes(ClockPermission.WIND))
        with pytest.raises(ConfigurationError, match="clock:wind, which no role has"):
            bare.checked()


class TestParts:
    def test_without_signing_in_nobody_is_asked_who_they_are(self, bare):
        bare.provide(Clock())
        bare.register_api(clock_routes())
        headers = {"Authorization": "Bearer of news"}
        assert bare.checked().test_client().get("/clock", headers=headers).status_code == 200

    @pytest.mark.parametrize("parts", [[sms.register, sign_in], [sign_in, sms.register]])
    def test_codes_sign_in_wherever_sms_is_registered(self, settings, parts):
        roles = {"admin": frozenset(TaskPermission)}
        app = Strongback("shop", settings, title="Shop", roles=roles)
        task.register(app, API)
        for register in parts:
            register(app, API)
        app.checked()
        assert SmsCodeGrant.GRANT_TYPE in app.services[OAuthServer].grant_types
        app.close()

    def test_the_framework_alone_starts_and_answers(self, bare):
        upgrade(bare)
        client = bare.checked().test_client()
        assert client.get("/readyz").status_code == 200
        assert client.get("/docs").status_code == 200

    def test_a_part_that_is_registered_twice_is_refused(self, bare):
        search.register(bare)
        with pytest.raises(ConfigurationError, match=r"Search is provided twice"):
            search.register(bare)

    def test_each_index_is_maintained(self, bare):
        registry = task.register(bare, API)
        search.register(bare).add(CupSource())
        with pytest.raises(ConfigurationError, match="task:read, which no role has"):
            bare.checked()
        assert {"search:cup-build", "search:cup-check"} <= {each.name for each in registry}

    def test_tasks_clean_what_the_application_has(self, bare):
        registry = task.register(bare, API)
        with pytest.raises(ConfigurationError, match="task:read, which no role has"):
            bare.checked()
        names = {declaration.name for declaration in registry}
        assert "maintenance:uploads" in names
        assert "maintenance:sessions" not in names


def test_two_applications_with_different_settings_live_in_one_process(settings, tmp_path):
    other = settings.model_copy(update={"app_var_dir": tmp_path / "other", "app_debug": True})
    first = Strongback("first", settings, title="First")
    second = Strongback("second", other, title="Second")
    upgrade(first)
    assert first.services[Database] is not second.services[Database]
    assert first.checked().test_client().get("/readyz").status_code == 200
    assert second.checked().test_client().get("/readyz").status_code == 503
    first.close()
    second.close()
