from __future__ import annotations

from typing import Any

import pytest

from strongback.config import Settings
from strongback.exceptions import BadRequest, NotFound
from strongback.schema import Schema
from strongback.web import APIBlueprint, public
from strongback.web.http_app import HTTPApp


class Cup(Schema):
    """What is shown."""

    size: int


@pytest.fixture
def api() -> APIBlueprint:
    return APIBlueprint("cups", __name__, url_prefix="/cups")


class TestRefusedAtImport:
    def test_a_view_that_does_not_say_who_may_call_it(self, api):
        def read_cup() -> None:
            return None

        with pytest.raises(TypeError, match=r"read_cup: declare @public or @needs\(Permission"):
            api.get("")(read_cup)

    def test_a_coroutine_function(self, api):
        @public
        async def read_cup() -> None:
            return None

        with pytest.raises(TypeError, match="read_cup: write a plain function"):
            api.get("")(read_cup)


def test_an_error_that_is_returned_reaches_the_blueprints_handler(
    settings: Settings, api: APIBlueprint
) -> None:
    @api.get("", responses={200: Cup})
    @public
    def read_cup() -> Any:
        return NotFound()

    @api.errorhandler(NotFound)
    def explain(_: NotFound) -> Any:
        return BadRequest("There are no cups.")

    app = HTTPApp("probe", settings, title="", version="")
    app.register_api(api)
    response = app.test_client().get("/cups")
    assert (response.status_code, response.get_json()["message"]) == (400, "There are no cups.")
