"""What would silently replace something of the same name is refused, with both names."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any, ClassVar

import click
import pytest
from flask import Blueprint
from flask.cli import AppGroup
from pydantic import Field, ValidationError

from strongback import config, task
from strongback.app import Strongback
from strongback.auth.permission import Permission
from strongback.collision import Names
from strongback.config import Settings
from strongback.exceptions import ConfigurationError
from strongback.schema import Page, RequestBody, Schema
from strongback.task import TaskGroup, TaskRegistry
from strongback.task.permission import TaskPermission
from strongback.web import APIBlueprint, needs, public


@pytest.fixture
def bare(settings: Settings) -> Iterator[Strongback]:
    """The framework alone: no part, no slice."""
    app = Strongback("bare", settings, title="Bare")
    yield app
    app.close()


def test_one_owner_may_claim_a_name_again():
    names = Names("cup")
    names.claim("blue", "kitchen")
    names.claim("blue", "kitchen")
    with pytest.raises(ConfigurationError, match="cup blue: kitchen has it, and office claims it"):
        names.claim("blue", "office")


# Schemas


def model(module: str, name: str, **fields: Any) -> Any:
    """A model of this name, as another module would declare it."""
    config = {"use_attribute_docstrings": False}  # no source of it says anything
    given = {"__module__": module, "__annotations__": fields, "model_config": config}
    return type(name, (Schema,), given)


def serve(app: Strongback, name: str, shown: Any, *, operation: str = "") -> None:
    """Register a blueprint with one route that shows a model."""
    api = APIBlueprint(name, f"shop.{name}", url_prefix=f"/{name}")

    def view() -> None:
        return None

    view.__name__, view.__module__ = operation or f"read_{name}", f"shop.{name}"
    api.get("", responses={200: shown})(public(view))
    app.register_api(api)


class State(StrEnum):
    """Of a cup."""

    NEW = "new"


class CupOut(Schema):
    """What is shown."""

    size: int


class CupIn(RequestBody):
    """What is sent."""

    size: int


def body_routes() -> APIBlueprint:
    api = APIBlueprint("milk", "shop.milk", url_prefix="/milk")

    @api.post("")
    @public
    def pour_milk(body: CupIn) -> None:
        return None

    return api


class TestSchemas:
    def test_two_models_of_one_name(self, bare):
        serve(bare, "tea", model("shop.tea", "CupOut", size=int))
        with pytest.raises(
            ConfigurationError, match=r"schema CupOut: shop\.tea\.CupOut .* shop\.milk\.CupOut"
        ):
            serve(bare, "milk", model("shop.milk", "CupOut", size=str))

    def test_inside_of_others(self, bare):
        first, second = (model(f"shop.{each}", "Origin", place=str) for each in ("tea", "milk"))
        serve(bare, "tea", model("shop.tea", "TeaOut", origin=first | None))
        with pytest.raises(ConfigurationError, match=r"schema Origin: shop\.tea\.Origin has it"):
            serve(bare, "milk", model("shop.milk", "MilkOut", origin=second))

    def test_an_enumeration_and_a_model(self, bare):
        serve(bare, "tea", model("shop.tea", "TeaOut", state=State))
        with pytest.raises(ConfigurationError, match=r"schema State: .*test_collision\.State has"):
            serve(bare, "milk", model("shop.milk", "State", place=str))

    def test_that_of_all_errors(self, bare):
        with pytest.raises(
            ConfigurationError, match=r"schema Problem: strongback\.schema\.Problem has it"
        ):
            serve(bare, "tea", model("shop.tea", "Problem", size=int))

    def test_one_model_may_be_shown_by_several(self, bare):
        serve(bare, "tea", CupOut)
        serve(bare, "milk", Page[CupOut])
        document = bare.test_client().get("/openapi.json").json
        assert {"CupOut", "CupPage"} <= set(document["components"]["schemas"])

    def test_pages_of_two_models(self, bare):
        serve(bare, "tea", Page[model("shop.tea", "CupOut", size=int)])  # type: ignore[misc]  # made above
        with pytest.raises(
            ConfigurationError,
            match=r"CupPage: .*\.Page\[shop\.tea\.CupOut\] .*Page\[shop\.milk\.Cup\]",
        ):
            serve(bare, "milk", Page[model("shop.milk", "Cup", size=int)])  # type: ignore[misc]  # as above

    def test_two_operations_of_one_name(self, bare):
        serve(bare, "tea", model("shop.tea", "TeaOut", size=int), operation="read_cup")
        with pytest.raises(ConfigurationError, match=r"read_cup: shop\.tea\..* shop\.milk"):
            serve(bare, "milk", model("shop.milk", "MilkOut", size=int), operation="read_cup")

    def test_a_body_and_a_response(self, bare):
        serve(bare, "tea", model("shop.tea", "CupIn", size=int))
        with pytest.raises(ConfigurationError, match=r"schema CupIn: shop\.tea\.CupIn has it"):
            bare.register_api(body_routes())


class TestBlueprints:
    def test_two_of_one_name(self, bare):
        serve(bare, "tea", model("shop.tea", "TeaOut", size=int))
        with pytest.raises(
            ConfigurationError, match=r"blueprint tea: shop\.tea has it, and pub\.tea claims it"
        ):
            bare.register_blueprint(Blueprint("tea", "pub.tea"))

    def test_one_that_is_registered_twice(self, bare):
        tea = Blueprint("tea", "shop.tea")
        bare.register_blueprint(tea)
        with pytest.raises(ConfigurationError, match=r"blueprint tea: .* or register it once"):
            bare.register_blueprint(tea)

    def test_one_may_be_registered_by_another_name(self, bare):
        bare.register_blueprint(Blueprint("tea", "shop.tea"))
        bare.register_blueprint(Blueprint("tea", "pub.tea"), name="pub")
        assert {"tea", "pub"} <= set(bare.blueprints)


class TestRoutes:
    def cups(self, name: str, address: str) -> APIBlueprint:
        api = APIBlueprint(name, __name__, url_prefix="/cups")

        def view() -> None:
            return None

        view.__name__ = f"read_{name}"
        api.get(address)(public(view))
        return api

    def test_two_of_one_address(self, bare):
        bare.register_api(self.cups("tea", "/<name>"))
        bare.register_api(self.cups("milk", "/<size>"))
        with pytest.raises(
            ConfigurationError, match=r"GET /cups/<>: tea\.read_tea has it, and milk\.read_milk"
        ):
            bare.checked()

    def test_parameters_of_two_types_are_told_apart(self, bare):
        bare.register_api(self.cups("tea", "/<name>"))
        bare.register_api(self.cups("milk", "/<int:size>"))
        bare.checked()


class TestCommands:
    @pytest.mark.parametrize(
        "name, other",
        [
            ("cache", r"strongback\.cli\.cache"),
            ("db", r"flask_alembic\.cli"),
            ("run", r"flask\.cli"),
        ],
    )
    def test_one_that_is_there(self, bare, name, other):
        with pytest.raises(
            ConfigurationError, match=f"command {name}: {other} has it, and .*test_collision claims"
        ):
            bare.cli.command(name)(lambda: None)

    def test_a_group_is_known_by_its_commands(self, bare):
        bare.cli.add_command(AppGroup("tea", commands=[click.Command("pour", callback=pour_tea)]))
        with pytest.raises(ConfigurationError, match=r"tea: .*test_collision has it, and a group"):
            bare.cli.add_command(AppGroup("tea"))


def pour_tea() -> None:
    """Do nothing."""


def pour_milk() -> None:
    """Do nothing."""


# Permissions


class TeaPermission(Permission):
    """What a shop's own part declares."""

    POUR = ("tea:pour", "Pour tea.")
    CANCEL = ("task:read", "Cancel an order.")


class TwicePermission(Permission):
    """With one value under two names."""

    POUR = ("tea:pour", "Pour tea.")
    SERVE = ("tea:pour", "Serve tea.")


def permission_routes(permission: Permission) -> APIBlueprint:
    api = APIBlueprint("tea", "shop.tea", url_prefix="/tea")

    @api.get("")
    @needs(permission)
    def pour_tea() -> None:
        return None

    return api


class TestPermissions:
    def test_two_of_one_value(self, settings):
        roles = {"waiter": frozenset((*TeaPermission, *TaskPermission))}
        app = Strongback("shop", settings, title="Shop", roles=roles)
        with pytest.raises(ConfigurationError, match="permission task:read: ") as refusal:
            app.checked()
        app.close()
        assert "strongback.task.permission.TaskPermission.READ" in str(refusal.value)
        assert "test_collision.TeaPermission.CANCEL" in str(refusal.value)

    def test_two_of_one_class(self, settings):
        app = Strongback("shop", settings, title="Shop", roles={"all": frozenset(TwicePermission)})
        with pytest.raises(ConfigurationError, match=r"tea:pour: .*\.POUR has it, and .*\.SERVE"):
            app.checked()
        app.close()

    def test_one_that_a_route_alone_names(self, settings):
        roles = {"waiter": frozenset(TaskPermission)}
        app = Strongback("shop", settings, title="Shop", roles=roles)
        app.register_api(permission_routes(TeaPermission.CANCEL))
        with pytest.raises(ConfigurationError, match=r"permission task:read: .*CANCEL"):
            app.checked()
        app.close()


# Topics


class TestTopics:
    def test_two_of_one_name(self, bare):
        bare.outbox.declare("shop.tea", "tea:ready")
        with pytest.raises(
            ConfigurationError, match=r"topic tea:ready: shop\.tea has it, and pub\.tea claims it"
        ):
            bare.outbox.declare("pub.tea", "tea:ready")

    def test_one_of_a_job(self, bare):
        group = TaskGroup("tea")
        group.job("ready")(lambda _: None)
        bare.outbox.declare("shop.tea", "tea:ready")
        with pytest.raises(ConfigurationError, match=r"topic tea:ready: shop\.tea has it, and .*"):
            TaskRegistry(bare.outbox).add(group)

    def test_a_consumer_of_what_nothing_emits(self, settings):
        group = TaskGroup("tea")
        group.consumer("serve", on="tea:reddy")(lambda _: None)
        roles = {"admin": frozenset(TaskPermission)}
        app = Strongback("shop", settings, title="Shop", roles=roles)
        task.register(app, "/api/v1").add(group)
        app.outbox.declare("shop.tea", "tea:ready")
        with pytest.raises(
            ConfigurationError, match="tea:serve waits for tea:reddy, which nothing emits"
        ):
            app.checked()
        app.close()


class TestTasks:
    def test_two_of_one_name(self, bare):
        registry = TaskRegistry(bare.outbox)
        first, second = TaskGroup("cup"), TaskGroup("cup")
        first.periodic("pour", every=timedelta(hours=1))(pour_tea)
        second.periodic("pour", every=timedelta(hours=1))(pour_milk)
        registry.add(first)
        with pytest.raises(
            ConfigurationError, match=r"cup:pour: .*\.pour_tea has it, and .*\.pour_milk claims it"
        ):
            registry.add(second)


# Settings


class Busy(config.Settings):
    """A framework's settings with other defaults."""

    web_threads: int = 32
    sms_prefixes: tuple[str, ...] = ("+1",)
    web_workers: Annotated[int, Field(ge=2)] = 2


class TestSettings:
    def test_one_of_another_type(self):
        with pytest.raises(ConfigurationError, match="setting web_threads: ") as refusal:

            class Wrong(config.Settings):
                web_threads: str = "many"  # type: ignore[assignment]  # what is refused

        assert "strongback.config.Settings has it" in str(refusal.value)
        assert "test_collision.TestSettings.test_one" in str(refusal.value)

    def test_one_of_two_slices(self):
        class Tea(config.Settings):
            cups: int = 1

        class Milk(config.Settings):
            cups: int = 2

        with pytest.raises(ConfigurationError, match=r"setting cups: .*Milk has it, and .*Tea"):

            class Both(Tea, Milk):
                pass

    def test_one_of_a_mixin(self):
        class Threads:
            web_threads: str = "many"

        with pytest.raises(ConfigurationError, match=r"web_threads: .*Settings has .*\.Threads"):

            class Mixed(Threads, config.Settings):
                pass

    def test_a_property_or_a_class_variable_in_its_place(self):
        with pytest.raises(ConfigurationError, match="setting web_threads: "):

            class Computed(config.Settings):
                @property  # type: ignore[misc]  # what is refused
                def web_threads(self) -> int:
                    return 4

        with pytest.raises(ConfigurationError, match="setting web_threads: "):

            class Constant(config.Settings):
                web_threads: ClassVar[int] = 4  # type: ignore[misc]  # what is refused

    @pytest.mark.filterwarnings("ignore:Field name")  # pydantic's own, which stops nobody
    def test_one_that_hides_a_property_of_the_framework(self):
        with pytest.raises(ConfigurationError, match=r"is_production: strongback\.config\.Setting"):

            class Lax(config.Settings):
                is_production: bool = False

    def test_another_default_keeps_the_rules(self, monkeypatch):
        assert Busy().web_threads == 32
        assert config.Settings().web_threads == 16
        with pytest.raises(ValidationError, match="greater than or equal to 1"):
            Busy(web_threads=0)
        monkeypatch.setenv("SMS_PREFIXES", "+1, +86")
        assert Busy().sms_prefixes == ("+1", "+86")

    def test_further_rules_come_on_top(self):
        with pytest.raises(ValidationError, match="greater than or equal to 2"):
            Busy(web_workers=1)
        with pytest.raises(ValidationError, match="less than or equal to 256"):
            Busy(web_workers=257)

    def test_wider_rules_replace_none(self):
        class Wide(config.Settings):
            web_workers: Annotated[int, Field(ge=0, le=10_000)] = 1

        with pytest.raises(ValidationError, match="less than or equal to 256"):
            Wide(web_workers=257)
        with pytest.raises(ValidationError, match="greater than or equal to 1"):
            Wide(web_workers=0)


def test_a_to_do_application_has_its_own_tasks_beside_the_frameworks(settings):
    class TaskOut(Schema):
        """A task of a person."""

        title: str

    api = APIBlueprint("tasks", __name__, url_prefix="/api/v1/tasks")

    @api.get("/<id>", responses={200: TaskOut})
    @public
    def read_task() -> dict[str, str]:
        return {"title": "Make tea"}

    roles = {"admin": frozenset(TaskPermission)}
    app = Strongback("todo", settings, title="To do", roles=roles)
    task.register(app, "/api/v1/background")
    app.register_api(api)
    client = app.checked().test_client()
    assert client.get("/api/v1/tasks/1").json == {"title": "Make tea"}
    document = client.get("/openapi.json").get_json()
    app.close()
    assert {"/api/v1/tasks/{id}", "/api/v1/background/tasks/{id}"} <= set(document["paths"])
    assert {"TaskOut", "JobOut"} <= set(document["components"]["schemas"])
