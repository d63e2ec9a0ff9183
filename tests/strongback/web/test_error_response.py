from __future__ import annotations

import json
from typing import Any

import pytest
from flask import abort, redirect
from sqlalchemy.exc import OperationalError
from werkzeug.exceptions import HTTPException, ImATeapot
from werkzeug.exceptions import ServiceUnavailable as WerkzeugServiceUnavailable

from strongback.config import Settings
from strongback.exceptions import (
    CATALOGUE,
    APIException,
    Conflict,
    FieldError,
    GatewayTimeout,
    NotFound,
    ServiceUnavailable,
    TooManyRequests,
    ValidationFailed,
)
from strongback.schema import Problem, RequestBody
from strongback.web import APIBlueprint, public
from strongback.web.http_app import HTTPApp

SECRET = "hunter2"
PROBLEM = "application/problem+json"


class Word(RequestBody):
    word: str


class ProviderError(Exception):
    pass


class TimedOutProvider(ProviderError):
    pass


@pytest.fixture
def probe(bare: HTTPApp) -> HTTPApp:
    """An application with a route for each kind of failure."""
    api = APIBlueprint("probe", __name__, url_prefix="/probe")

    @api.post("/words", responses={200: Word})
    @public
    def put_word(body: Word) -> Word:
        """Echo."""
        return body

    bare.register_api(api)
    return bare


@pytest.fixture(scope="module")
def shared(module_settings: Settings) -> HTTPApp:
    """An application that is asked for one error after the other."""
    return HTTPApp("bare", module_settings, title="Bare", version="1.0")


def fail(app: HTTPApp, error: BaseException, **headers: str) -> Any:
    """The answer of a view that raises the error."""

    def view() -> Any:
        raise app.extensions["error"]

    if "error" not in app.extensions:
        app.add_url_rule("/fail", view_func=view)
    app.extensions["error"] = error
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return app.test_client().get("/fail", headers=named)


def check_shape(response: Any, status: int) -> None:
    assert response.status_code == status
    assert response.mimetype == "application/json"
    problem = Problem.model_validate_json(response.data, strict=True)
    assert problem.code == status
    assert problem.message
    assert problem.error_code in CATALOGUE
    assert problem.request_id == response.headers["X-Request-ID"]
    oauth = {"error", "error_description"} if problem.error_code // 100 == 110 else set()
    assert set(response.json) - oauth <= {"code", "error_code", "message", "request_id", "errors"}


class TestShape:
    def test_malformed_json_is_400(self, probe):
        response = probe.test_client().post(
            "/probe/words", data="{", content_type="application/json"
        )
        check_shape(response, 400)

    def test_an_unknown_address_is_404(self, probe):
        check_shape(probe.test_client().get("/nowhere"), 404)

    def test_a_wrong_method_is_405_with_allow(self, probe):
        response = probe.test_client().delete("/probe/words")
        check_shape(response, 405)
        assert set(response.headers["Allow"].split(", ")) == {"POST", "OPTIONS"}

    def test_a_body_that_is_too_large_is_413(self, probe):
        body = json.dumps({"word": "x" * probe.settings.web_max_body})
        response = probe.test_client().post(
            "/probe/words", data=body, content_type="application/json"
        )
        check_shape(response, 413)

    def test_a_wrong_type_is_415(self, probe):
        response = probe.test_client().post(
            "/probe/words", data="word=a", content_type="text/plain"
        )
        check_shape(response, 415)

    def test_a_wrong_field_is_422(self, probe):
        check_shape(probe.test_client().post("/probe/words", json={"word": 1}), 422)

    def test_a_defect_is_500(self, probe):
        check_shape(fail(probe, ValueError("wrong")), 500)

    @pytest.mark.parametrize("error", [error for error in CATALOGUE.values() if error.code != 422])
    def test_each_error_of_the_catalogue(self, shared, error):
        check_shape(fail(shared, error("{placeholder} left as it is")), error.code)

    @pytest.mark.parametrize("status", [400, 401, 403, 406, 408, 410, 418, 429, 431, 451, 501, 503])
    def test_each_status_that_werkzeug_knows(self, probe, status):
        probe.add_url_rule("/abort", view_func=lambda: abort(status))
        check_shape(probe.test_client().get("/abort"), status)

    def test_a_status_without_a_class_has_the_number_of_its_family(self, probe):
        assert fail(probe, ImATeapot()).json["error_code"] == 10001

    def test_a_status_that_nobody_knows_is_still_answered(self, probe):
        class Odd(HTTPException):
            code = 499

        assert fail(probe, Odd()).status_code == 499

    def test_fields_are_listed(self, probe):
        problem: FieldError = {"field": "body.a", "message": "Wrong.", "type": "wrong"}
        response = fail(probe, ValidationFailed(errors=[problem]))
        assert response.json["errors"] == [problem]

    def test_without_fields_there_is_no_list(self, probe):
        assert "errors" not in fail(probe, NotFound()).json

    def test_parameters_are_put_into_the_message(self, probe):
        response = fail(probe, Conflict("The {colour} one is refused.", params={"colour": "red"}))
        assert response.json["message"] == "The red one is refused."

    def test_a_clients_text_in_a_parameter_is_no_template(self, probe):
        response = fail(
            probe, Conflict("The {colour} one is refused.", params={"colour": "{0.__class__} %s"})
        )
        assert response.json["message"] == "The {0.__class__} %s one is refused."

    def test_headers_of_the_error_are_sent(self, probe):
        response = fail(probe, TooManyRequests(headers={"Retry-After": "7"}))
        assert response.headers["Retry-After"] == "7"

    def test_headers_of_werkzeugs_error_are_kept(self, probe):
        response = fail(probe, WerkzeugServiceUnavailable(retry_after=7))
        assert response.headers["Retry-After"] == "7"

    def test_is_not_stored_by_caches(self, probe):
        response = probe.test_client().get("/nowhere")
        assert response.headers["Cache-Control"] == "no-store"

    def test_varies_by_what_shaped_it(self, probe):
        response = probe.test_client().get("/nowhere")
        assert set(response.vary) == {"Accept", "Accept-Language"}

    def test_a_head_request_gets_no_body(self, probe):
        response = probe.test_client().head("/nowhere")
        assert (response.status_code, response.data) == (404, b"")

    def test_a_redirect_is_no_error(self, probe):
        probe.add_url_rule("/moved", view_func=lambda: abort(redirect("/elsewhere", 302)))
        response = probe.test_client().get("/moved")
        assert (response.status_code, response.headers["Location"]) == (302, "/elsewhere")


class TestProblemJSON:
    def test_has_the_members_of_rfc_9457(self, probe):
        response = probe.test_client().get("/nowhere", headers={"Accept": PROBLEM})
        assert response.mimetype == PROBLEM
        assert response.json == {
            "type": "urn:strongback:error:10004",
            "title": "Not Found",
            "status": 404,
            "detail": "The requested resource was not found.",
            "instance": "/nowhere",
            "error_code": 10004,
            "request_id": response.headers["X-Request-ID"],
        }

    def test_has_the_same_fields(self, probe):
        response = probe.test_client().post(
            "/probe/words", json={"word": 1}, headers={"Accept": PROBLEM}
        )
        assert [error["field"] for error in response.json["errors"]] == ["body.word"]

    def test_has_the_same_language(self, probe):
        headers = {"Accept": PROBLEM, "Accept-Language": "zh"}
        response = probe.test_client().get("/nowhere", headers=headers)
        assert response.json["detail"] == "请求的资源不存在。"

    @pytest.mark.parametrize(
        "accept",
        [
            "",
            "*/*",
            "application/json",
            "text/html",
            f"application/json, {PROBLEM};q=0.5",
            "rubbish",
        ],
    )
    def test_is_sent_only_where_it_is_preferred(self, probe, accept):
        response = probe.test_client().get("/api/v1/nowhere", headers={"Accept": accept})
        assert response.mimetype == "application/json"

    @pytest.mark.parametrize(
        "accept", [f"{PROBLEM}, application/json;q=0.9", f"text/html, {PROBLEM}"]
    )
    def test_is_sent_where_it_is_preferred(self, probe, accept):
        response = probe.test_client().get("/api/v1/nowhere", headers={"Accept": accept})
        assert response.mimetype == PROBLEM


class TestLanguage:
    @pytest.mark.parametrize(
        "accepted, language",
        [
            ("", "en"),
            ("en", "en"),
            ("zh", "zh"),
            ("zh-CN", "zh"),
            ("fr, zh;q=0.5", "zh"),
            ("fr", "en"),
        ],
    )
    def test_is_the_one_asked_for(self, probe, accepted, language):
        response = probe.test_client().get("/nowhere", headers={"Accept-Language": accepted})
        assert response.headers["Content-Language"] == language

    def test_a_message_is_in_chinese(self, probe):
        response = probe.test_client().get("/nowhere", headers={"Accept-Language": "zh-CN"})
        assert response.json["message"] == "请求的资源不存在。"

    def test_messages_of_fields_are_in_chinese(self, probe):
        response = probe.test_client().post(
            "/probe/words", json={}, headers={"Accept-Language": "zh-CN"}
        )
        (error,) = response.json["errors"]
        assert not error["message"].isascii()
        assert error["type"] == "missing"

    @pytest.mark.parametrize(
        "error",
        [
            error
            for error in CATALOGUE.values()
            if error.code != 422 and error.__module__.startswith("strongback.")
        ],
    )
    def test_every_message_of_the_framework_is_translated(self, shared, error):
        response = fail(shared, error(), Accept_Language="zh")
        assert not response.json["message"].isascii()


class TestUnforeseen:
    def test_nothing_leaks(self, probe):
        response = fail(probe, ValueError(SECRET))
        assert SECRET.encode() not in response.data
        assert b"Traceback" not in response.data
        assert set(response.json) == {"code", "error_code", "message", "request_id"}

    def test_nothing_leaks_as_problem_json(self, probe):
        response = fail(probe, ValueError(SECRET), Accept=PROBLEM)
        assert SECRET.encode() not in response.data

    def test_the_log_has_the_whole_traceback(self, probe, logs):
        response = fail(probe, ValueError("the reason"))
        (entry,) = logs.named("unhandled_exception")
        assert "ValueError: the reason" in entry["exception"]
        assert __name__.rsplit(".", 1)[-1] in entry["exception"]
        assert entry["request_id"] == response.json["request_id"]

    def test_debug_shows_the_traceback(self, settings, logs):
        app = HTTPApp("bare", settings.model_copy(update={"app_debug": True}), title="", version="")
        response = fail(app, ValueError("the reason"))
        assert "ValueError: the reason" in "".join(response.json["traceback"])

    def test_our_own_500_is_logged(self, probe, logs):
        fail(probe, APIException("Out of paper."))
        assert "Out of paper." in json.dumps(logs.error)

    def test_a_callers_mistake_is_no_entry_of_the_error_log(self, probe, logs):
        fail(probe, NotFound())
        assert logs.error == []

    def test_the_next_request_is_answered(self, probe):
        fail(probe, ValueError("wrong"))
        assert probe.test_client().post("/probe/words", json={"word": "a"}).status_code == 200


class TestRegistry:
    def test_a_third_partys_error_becomes_the_registered_one(self, probe):
        probe.register_error_source(
            ProviderError, lambda _: ServiceUnavailable(headers={"Retry-After": "5"})
        )
        response = fail(probe, ProviderError(SECRET))
        check_shape(response, 503)
        assert response.headers["Retry-After"] == "5"
        assert SECRET.encode() not in response.data

    def test_a_subclass_counts_too(self, probe):
        probe.register_error_source(ProviderError, lambda _: ServiceUnavailable())
        assert fail(probe, TimedOutProvider()).status_code == 503

    def test_the_nearest_type_wins(self, probe):
        probe.register_error_source(ProviderError, lambda _: ServiceUnavailable())
        probe.register_error_source(TimedOutProvider, lambda _: GatewayTimeout())
        assert fail(probe, TimedOutProvider()).status_code == 504

    def test_what_the_converter_declines_is_a_defect(self, probe, logs):
        probe.register_error_source(ProviderError, lambda _: None)
        assert fail(probe, ProviderError()).status_code == 500
        assert logs.named("unhandled_exception")

    def test_a_timeout_is_504(self, probe):
        check_shape(fail(probe, TimeoutError()), 504)

    def test_the_cause_is_logged(self, probe, logs):
        probe.register_error_source(ProviderError, lambda _: ServiceUnavailable())
        fail(probe, ProviderError("refused"))
        (event,) = logs.named("dependency_failed")
        assert (event["error"], event["reason"]) == ("ProviderError", "refused")

    @pytest.mark.speaks_sql
    def test_a_database_that_is_down_is_503(self, app, client, logs):
        """The whole application knows what its database's errors mean."""
        error = OperationalError("SELECT 1", {}, Exception("gone"), connection_invalidated=True)

        def view() -> Any:
            raise error

        app.add_url_rule("/fail", view_func=view)
        response = client.get("/fail")
        assert [event["reason"] for event in logs.named("dependency_failed")] == ["gone"]
        check_shape(response, 503)
        assert int(response.headers["Retry-After"]) > 0
