from __future__ import annotations

import enum
import json
import uuid
from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Any

import pytest
from flask import redirect
from pydantic import BaseModel, Field
from werkzeug.exceptions import Gone

from strongback.exceptions import FieldError, NotFound, ValidationFailed
from strongback.schema import Schema, Timestamp
from strongback.web import APIBlueprint, Response, inject, public
from strongback.web.http_app import HTTPApp

BEIJING = timezone(timedelta(hours=8))
NOON = datetime(2026, 1, 2, 12, 30, tzinfo=BEIJING)


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    LOW = 1


class Word(enum.StrEnum):
    HELLO = "hello"


@dataclass
class Point:
    x: int
    at: datetime = NOON
    parts: list[Decimal] = field(default_factory=lambda: [Decimal("1.10")])


class Tree(Schema):
    name: str
    planted_at: Timestamp
    children: list[Tree] = Field(default=[])


class Row:
    name = "elm"
    planted_at = NOON
    children = ()
    secret = "unseen"


class Aliased(BaseModel):
    inner: int = Field(serialization_alias="outer")


class WithDict:
    def dict(self) -> dict[str, Any]:
        return {"from": "dict", "at": NOON}


class WithAsDict:
    def as_dict(self) -> dict[str, Any]:
        return {"from": "as_dict", "colour": Colour.RED}


def answer(app: HTTPApp, value: Any) -> Any:
    """What a view that returns the value sends."""
    app.add_url_rule("/value", view_func=lambda: value)
    return app.test_client().get("/value")


class TestData:
    @pytest.mark.parametrize(
        "value, expected",
        [
            ({"a": 1, "b": None}, {"a": 1, "b": None}),
            ({}, {}),
            ([1, "two", [3]], [1, "two", [3]]),
            ([], []),
            (OrderedDict(b=1, a=2), {"b": 1, "a": 2}),
            (
                Tree(name="oak", planted_at=NOON),
                {"name": "oak", "planted_at": "2026-01-02T04:30:00Z", "children": []},
            ),
            (Aliased(inner=1), {"outer": 1}),
            ([Aliased(inner=1)], [{"outer": 1}]),
            (Point(1), {"x": 1, "at": "2026-01-02T04:30:00Z", "parts": ["1.10"]}),
            (
                {"deep": [Point(2)]},
                {"deep": [{"x": 2, "at": "2026-01-02T04:30:00Z", "parts": ["1.10"]}]},
            ),
            (WithDict(), {"from": "dict", "at": "2026-01-02T04:30:00Z"}),
            (WithAsDict(), {"from": "as_dict", "colour": "red"}),
            (
                [WithDict(), WithAsDict()],
                [
                    {"from": "dict", "at": "2026-01-02T04:30:00Z"},
                    {"from": "as_dict", "colour": "red"},
                ],
            ),
        ],
    )
    def test_structures_are_sent_as_they_are(self, bare, value, expected):
        response = answer(bare, value)
        assert response.status_code == 200
        assert response.mimetype == "application/json"
        assert json.loads(response.data) == expected

    @pytest.mark.parametrize(
        "value, expected",
        [
            ("text", "text"),
            ("", ""),
            (0, 0),
            (1.5, 1.5),
            (True, True),
            (False, False),
            (b"bytes", "bytes"),
            (b"\xff", "\ufffd"),
            (Word.HELLO, "hello"),
            (Level.LOW, 1),
            (2**70, 2**70),
        ],
    )
    def test_scalars_are_wrapped(self, bare, value, expected):
        response = answer(bare, value)
        assert response.status_code == 200
        assert json.loads(response.data) == {"data": expected}

    @pytest.mark.parametrize(
        "value, expected",
        [
            (NOON, "2026-01-02T04:30:00Z"),
            (datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC), "2026-01-02T03:04:05.678901Z"),
            (datetime(2026, 1, 2, 3, 4, 5), "2026-01-02T03:04:05Z"),  # noqa: DTZ001  the case
            (date(2026, 1, 2), "2026-01-02"),
            (time(3, 4, 5), "03:04:05"),
            (timedelta(minutes=1.5), 90.0),
            (Decimal("0.10"), "0.10"),
            (Decimal("1E+3"), "1E+3"),
            (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
            (Colour.RED, "red"),
            (Level.LOW, 1),
            (Word.HELLO, "hello"),
            (PurePosixPath("a/b"), "a/b"),
            ({1}, [1]),
            (frozenset({1}), [1]),
            (deque([1, 2]), [1, 2]),
            ((1, 2), [1, 2]),
            (MappingProxyType({"a": 1}), {"a": 1}),
            (b"bytes", "bytes"),
            (float("nan"), None),
            (float("inf"), None),
            (2**64, 2**64),
            (-(2**63), -(2**63)),
            (-(2**200), -(2**200)),
            ("\ud800", "\ud800"),
        ],
    )
    def test_values_inside_are_encoded(self, bare, value, expected):
        assert json.loads(answer(bare, {"value": value}).data) == {"value": expected}

    def test_a_value_that_orjson_lacks_does_not_change_its_neighbours(self, bare):
        """The slow path is taken for the whole answer, which must read the same."""
        value = {
            "big": 2**70,
            "at": NOON,
            "uuid": uuid.UUID(int=1),
            "point": Point(1),
            1: Level.LOW,
        }
        assert json.loads(answer(bare, value).data) == {
            "big": 2**70,
            "at": "2026-01-02T04:30:00Z",
            "uuid": "00000000-0000-0000-0000-000000000001",
            "point": {"x": 1, "at": "2026-01-02T04:30:00Z", "parts": ["1.10"]},
            "1": 1,
        }

    @pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
    def test_json_stays_json_beside_a_big_integer(self, bare, value):
        """NaN and Infinity are not JSON, whichever encoder writes the answer."""
        response = answer(bare, {"big": 2**70, "value": value})
        assert b"NaN" not in response.data
        assert b"Infinity" not in response.data

    @pytest.mark.parametrize(
        "key",
        [
            uuid.UUID(int=1),
            date(2026, 1, 2),
            Word.HELLO,
            Level.LOW,
            1,
            None,
            True,
        ],
    )
    def test_a_big_integer_does_not_change_the_keys(self, settings, logs, key):
        """Whatever may be a key beside small values may be one beside a big one."""
        fast = answer(HTTPApp("a", settings, title="", version=""), {key: 0})
        slow = answer(HTTPApp("b", settings, title="", version=""), {key: 2**70})
        assert (fast.status_code, slow.status_code) == (200, 200)
        assert list(json.loads(fast.data)) == list(json.loads(slow.data))

    def test_text_is_sent_as_utf8(self, bare):
        assert answer(bare, {"text": "中文"}).data == '{"text":"中文"}'.encode()

    def test_a_row_is_sent_through_the_declared_model(self, bare):
        """A view may return any object that has the model's attributes."""
        api = APIBlueprint("tree", __name__, url_prefix="/tree")

        @api.get("", responses={200: Tree})
        @public
        def read() -> Row:
            """Read."""
            return Row()

        bare.register_api(api)
        assert bare.test_client().get("/tree").json == {
            "name": "elm",
            "planted_at": "2026-01-02T04:30:00Z",
            "children": [],
        }

    def test_an_answer_unlike_its_declared_model_is_a_defect(self, bare, logs):
        """What the document promises is kept, or it is an error on our side."""
        api = APIBlueprint("tree", __name__, url_prefix="/tree")

        @api.get("", responses={200: Tree})
        @public
        def read() -> dict[str, Any]:
            """Read."""
            return {"nome": "elm"}

        bare.register_api(api)
        assert bare.test_client().get("/tree").status_code == 500
        assert logs.named("unhandled_exception")


class TestNothing:
    def test_none_is_204_without_a_body_or_a_type(self, bare):
        response = answer(bare, None)
        assert (response.status_code, response.data) == (204, b"")
        assert "Content-Type" not in response.headers

    def test_none_with_a_status_keeps_the_status(self, bare):
        response = answer(bare, (None, 202))
        assert (response.status_code, response.data) == (202, b"")

    def test_none_with_headers_is_204(self, bare):
        response = answer(bare, (None, {"X-Mark": "1"}))
        assert (response.status_code, response.headers["X-Mark"]) == (204, "1")


class TestTuple:
    def test_a_status_may_follow(self, bare):
        response = answer(bare, ({"a": 1}, 201))
        assert (response.status_code, response.json) == (201, {"a": 1})

    def test_headers_may_follow(self, bare):
        response = answer(bare, ([1], {"X-Mark": "1"}))
        assert (response.status_code, response.json) == (200, [1])
        assert response.headers["X-Mark"] == "1"

    def test_status_and_headers_may_follow(self, bare):
        response = answer(bare, (Tree(name="oak", planted_at=NOON), 201, {"Location": "/trees/1"}))
        assert (response.status_code, response.headers["Location"]) == (201, "/trees/1")

    def test_headers_may_be_pairs(self, bare):
        response = answer(bare, ({}, 200, [("X-Mark", "1")]))
        assert response.headers["X-Mark"] == "1"

    def test_a_status_may_be_a_text(self, bare):
        assert answer(bare, ({}, "202 ACCEPTED")).status_code == 202

    def test_a_scalar_is_wrapped_too(self, bare):
        assert answer(bare, ("made", 201)).json == {"data": "made"}


class TestException:
    def test_one_of_ours_is_answered_as_if_raised(self, bare):
        response = answer(bare, NotFound())
        assert (response.status_code, response.json["code"]) == (404, 404)

    def test_its_fields_and_headers_are_kept(self, bare):
        problem: FieldError = {"field": "body.a", "message": "Wrong.", "type": "wrong"}
        error = ValidationFailed(errors=[problem], headers={"X-Mark": "1"})
        response = answer(bare, error)
        assert (response.json["errors"], response.headers["X-Mark"]) == ([problem], "1")

    def test_one_of_werkzeug_has_the_one_shape(self, bare):
        response = answer(bare, Gone())
        assert (response.status_code, response.mimetype) == (410, "application/json")
        assert response.json["code"] == 410

    def test_any_other_is_500(self, bare):
        response = answer(bare, ValueError("inner"))
        assert (response.status_code, response.json["code"]) == (500, 500)
        assert b"inner" not in response.data


class TestReady:
    def test_a_response_passes_unchanged(self, bare):
        response = answer(bare, Response(b"raw", mimetype="text/plain"))
        assert (response.data, response.mimetype) == (b"raw", "text/plain")

    def test_a_redirect_passes_unchanged(self, bare):
        response = answer(bare, redirect("/elsewhere", 307))
        assert (response.status_code, response.headers["Location"]) == (307, "/elsewhere")

    def test_a_generator_is_streamed(self, bare):
        def parts() -> Iterator[bytes]:
            yield b"one "
            yield b"two"

        assert answer(bare, parts()).data == b"one two"

    def test_a_streamed_answer_is_logged_once_when_it_is_over(self, bare, logs):
        def parts() -> Iterator[bytes]:
            assert logs.access == []
            yield b"one"

        with answer(bare, parts()) as response:
            response.get_data()
        assert [entry["path"] for entry in logs.access] == ["/value"]

    def test_a_type_that_nobody_knows_is_a_defect(self, bare, logs):
        assert answer(bare, object()).status_code == 500
        assert "TypeError" in logs.error[0]["exception"]


class TestProvided:
    def test_is_the_applications_own_instance(self, bare):
        class Clock:
            time = 12

        bare.provide(Clock())
        clock = inject(Clock)
        with bare.app_context():
            assert clock.time == 12

    def test_two_applications_do_not_share_it(self, settings, logs):
        class Clock:
            def __init__(self, time: int) -> None:
                self.time = time

        clock = inject(Clock)
        for time_ in (1, 2):
            app = HTTPApp("one", settings, title="", version="")
            app.provide(Clock(time_))
            with app.app_context():
                assert clock.time == time_


class TestRouting:
    @pytest.mark.parametrize("path", ["//value", "/value/", "/Value", "/value//"])
    def test_another_spelling_of_a_path_is_404_in_json(self, bare, path):
        bare.add_url_rule("/value", view_func=dict)
        response = bare.test_client().get(path)
        assert (response.status_code, response.json["code"]) == (404, 404)

    def test_no_cookie_is_set(self, bare):
        assert "Set-Cookie" not in answer(bare, {}).headers
