from __future__ import annotations

import json
import os
import threading
import time
from collections import Counter
from datetime import timedelta
from functools import partial
from io import BytesIO

import pytest
from sqlalchemy import event, func, select, update

from app.article.model import Article
from app.comment.model import Comment
from strongback.database import utc_now
from strongback.exceptions import Conflict
from strongback.idempotency import (
    Claim,
    Idempotency,
    IdempotencyKey,
    RecordedResponse,
    RequestInFlight,
)
from strongback.migration.runner import upgrade
from strongback.web.idempotent import claim_of
from strongback.web.request import current_request
from tests.support.api import API
from tests.support.process import start_module
from tests.support.thread import run_together

PARALLEL = 20


def write(api: API, key: str = "k", title: str = "Tea", by: str = "ada", **headers: str):
    body = {"title": title, "body": "b", "published": True}
    return api.post("/articles", body, by=by, headers={"Idempotency-Key": key} | headers)


def comment(api: API, key: str, by: str = "eve", slug: str = "tea", body: str = "b"):
    return api.post(
        f"/articles/{slug}/comments", {"body": body}, by=by, headers={"Idempotency-Key": key}
    )


def count(api: API, model: type) -> int:
    with api.database.scope():
        return api.database.session.scalar(select(func.count()).select_from(model)) or 0


def age(api: API, **time: float) -> None:
    """Make all keys older."""
    values = {"created_at": utc_now() - timedelta(**time)}
    api.database.transact(lambda session: session.execute(update(IdempotencyKey).values(values)))


@pytest.mark.speaks_sql
class TestReplay:
    def test_repeats_status_body_and_headers(self, api):
        first, second = write(api), write(api)
        assert (first.status_code, second.status_code) == (201, 201)
        assert first.data == second.data
        for name in ("Location", "ETag", "Last-Modified", "Content-Type", "Cache-Control"):
            assert first.headers[name] == second.headers[name]
        assert "Idempotency-Replayed" not in first.headers
        assert second.headers["Idempotency-Replayed"] == "true"
        assert first.headers["X-Request-ID"] != second.headers["X-Request-ID"]
        assert count(api, Article) == 1

    def test_repeats_the_first_answer_though_the_resource_has_changed(self, api):
        first = write(api)
        api.call("DELETE", "/articles/tea", by="ada", headers={"If-Match": "*"})
        assert write(api).data == first.data
        assert count(api, Article) == 0

    def test_quotes_do_not_matter(self, api):
        """The draft standard writes the key as a quoted string."""
        write(api, "k")
        assert write(api, '"k"').headers["Idempotency-Replayed"] == "true"

    def test_another_key_acts_again(self, api):
        write(api, "a")
        write(api, "A")
        assert count(api, Article) == 2

    def test_keys_of_two_callers_do_not_meet(self, api):
        assert write(api, by="ada").json["author"] == "ada"
        assert write(api, by="bob").json["author"] == "bob"

    def test_without_a_key_acts_each_time(self, api):
        api.article()
        api.article()
        assert (count(api, Article), count(api, IdempotencyKey)) == (2, 0)

    def test_caller_who_lost_the_permission_gets_no_replay(self, api):
        write(api)
        response = write(api, by="ada -article:write")
        assert response.status_code == 403


def test_a_retry_after_a_change_of_secrets_is_a_replay(own_api):
    """Who asks again within the 24 hours has done nothing wrong."""
    first = write(own_api)
    config = own_api.app.config
    config["SECRET_KEY_FALLBACKS"] = [config["SECRET_KEY"]]
    config["SECRET_KEY"] = "another secret of at least 32 characters"
    assert write(own_api).data == first.data


class TestMisuse:
    def test_another_body_is_422(self, api):
        write(api)
        response = write(api, title="Coffee")
        assert (response.status_code, response.json["error_code"]) == (422, 10031)
        assert count(api, Article) == 1

    def test_another_address_is_422(self, api):
        api.article(title="Tea")
        api.article(title="Coffee")
        assert comment(api, "k").status_code == 201
        assert comment(api, "k", slug="coffee").status_code == 422
        assert count(api, Comment) == 1

    @pytest.mark.parametrize("key", ["", "x" * 256, "two words", "tab\there", "ключ", '""'])
    def test_key_of_another_form_is_400(self, api, key):
        sent = {"Idempotency-Key": key.encode().decode("latin-1")}
        response = api.post("/articles", {"title": "t", "body": "b"}, by="ada", headers=sent)
        assert response.status_code == 400
        assert count(api, Article) == 0

    @pytest.mark.speaks_sql
    def test_longest_key_is_taken(self, api):
        assert write(api, "x" * 255).status_code == 201

    def test_get_takes_no_key(self, api):
        assert api.call("GET", "/articles", headers={"Idempotency-Key": ""}).status_code == 200


@pytest.mark.speaks_sql
class TestRefusal:
    def test_is_not_remembered(self, api):
        assert comment(api, "k").status_code == 404
        assert count(api, IdempotencyKey) == 0
        api.article()
        assert comment(api, "k").status_code == 201

    def test_by_validation_is_not_remembered(self, api):
        assert write(api, title="").status_code == 422
        assert write(api).status_code == 201

    def test_undoes_the_effect(self, api, monkeypatch):
        """A view that answers an error after its service has written leaves nothing."""
        api.article()
        monkeypatch.setattr(api.app, "after_request_funcs", {})
        service = api.app.services[Idempotency]
        with api.app.test_request_context("/", headers={"Idempotency-Key": "k"}):
            claim = claim_of(current_request())

            def act():
                half = update(Article).values(title="half")
                api.database.transact(lambda session: session.execute(half))
                raise Conflict

            with api.database.scope(), pytest.raises(Conflict):
                service.run(claim, act)
        assert api.call("GET", "/articles/tea").json["title"] == "Tea"
        assert count(api, IdempotencyKey) == 0


@pytest.mark.speaks_sql
class TestConcurrency:
    def test_twenty_with_one_key_have_one_effect_and_one_body(self, api):
        for key in map(str, range(3)):
            answers = run_together(*[partial(write, api, key, f"Tea {key}")] * PARALLEL)
            statuses = Counter(answer.status_code for answer in answers)
            assert set(statuses) <= {201, 409}
            done = [answer for answer in answers if answer.status_code == 201]
            assert len({answer.data for answer in done}) == 1
            first = [it for it in done if "Idempotency-Replayed" not in it.headers]
            assert len(first) == 1
            assert all(
                answer.headers["Retry-After"] == "1" and answer.json["error_code"] == 10030
                for answer in answers
                if answer.status_code == 409
            )
        assert count(api, Article) == 3

    def test_twenty_that_try_again_all_get_the_one_answer(self, api):
        def insist():
            while (answer := write(api)).status_code == 409:
                time.sleep(0.01)
            return answer

        answers = run_together(*[insist] * PARALLEL)
        assert {(answer.status_code, answer.data) for answer in answers} == {(201, answers[0].data)}
        assert count(api, Article) == 1

    def test_one_in_flight_is_answered_at_once_or_waited_for(self, api):
        """MySQL shows a row that another transaction holds; SQLite's writers queue.

        Had the second waited on MySQL, it would have been given the first one's answer.
        """
        holds, go_on = threading.Event(), threading.Event()

        @event.listens_for(api.database.engine, "before_cursor_execute")
        def pause(_connection, _cursor, statement: str, *_: object) -> None:
            if statement.startswith("INSERT INTO article ") and not holds.is_set():
                holds.set()
                go_on.wait(10)

        def second():
            holds.wait(10)
            if api.database.engine.dialect.name == "sqlite":
                threading.Timer(0.3, go_on.set).start()
            answer = write(api)
            go_on.set()
            return answer

        first, answer = run_together(partial(write, api), second)
        assert first.status_code == 201
        if api.database.engine.dialect.name == "sqlite":
            assert (answer.status_code, answer.data) == (201, first.data)
        else:
            assert (answer.status_code, answer.headers["Retry-After"]) == (409, "1")
        assert count(api, Article) == 1

    def test_first_that_fails_lets_the_next_one_act(self, api):
        """Half of twenty are refused by the service; their keys are free at once."""
        api.article()
        slugs = ["tea", "none"] * (PARALLEL // 2)
        answers = run_together(
            *(partial(comment, api, f"k{number}", slug=slug) for number, slug in enumerate(slugs))
        )
        assert Counter(it.status_code for it in answers) == {201: 10, 404: 10}
        assert count(api, Comment) == count(api, IdempotencyKey) == 10


# Not on SQLite, whose writers queue before they can see a key.
@pytest.mark.speaks_sql
@pytest.mark.parametrize(
    "database_url", [pytest.param("mariadb_server", id="mariadb")], indirect=True
)
class TestLockTimeOut:
    @pytest.fixture
    def settings(self, settings):
        return settings.model_copy(update={"database_timeout": 2})

    def test_one_that_waits_too_long_for_the_key_is_told_to_come_back(self, api):
        """Both have seen no key; the second waits for the first until its lock times out."""
        keys, claim = api.app.services[Idempotency], Claim("user:1", "k", "POST /", ("f",))
        holds, go_on = threading.Event(), threading.Event()

        def act() -> RecordedResponse:
            api.database.transact(hold)
            return RecordedResponse(204, [], b"")

        def hold(_: object) -> None:
            holds.set()
            go_on.wait(20)

        def write() -> RecordedResponse:
            api.database.transact(lambda _: pytest.fail("it wrote"))
            return RecordedResponse(204, [], b"")

        def second() -> None:
            holds.wait(10)
            try:
                with pytest.raises(RequestInFlight):
                    keys._perform(claim, write)
            finally:
                go_on.set()

        first = partial(keys._perform, claim, act)
        run_together(first, second)
        assert count(api, IdempotencyKey) == 1


@pytest.mark.speaks_sql
class TestAge:
    def test_key_is_kept_for_24_hours(self, api):
        write(api)
        age(api, hours=23.9)
        assert write(api).headers["Idempotency-Replayed"] == "true"

    def test_older_key_is_as_good_as_new(self, api):
        write(api)
        age(api, hours=24.1)
        assert "Idempotency-Replayed" not in write(api, title="Coffee").headers
        assert write(api, title="Coffee").headers["Idempotency-Replayed"] == "true"
        assert count(api, Article) == 2

    def test_cleaning_deletes_old_keys(self, api):
        rows = [
            IdempotencyKey(caller="user:1", key=str(number), operation="", fingerprint="")
            for number in range(3)
        ]
        api.database.transact(lambda session: session.add_all(rows))
        age(api, hours=25)
        write(api, "new")
        assert api.app.services[Idempotency].clean() == 3
        assert count(api, IdempotencyKey) == 1

    def test_command_cleans(self, settings):
        api = API(settings)
        upgrade(api.app)
        result = api.app.test_cli_runner().invoke(args=["idempotency", "clean"])
        assert (result.exit_code, result.stdout) == (0, "Deleted 0 keys.\n")
        api.close()


class TestFingerprint:
    def fingerprint(self, api: API, **options) -> str:
        headers = {"Idempotency-Key": "k"}
        with api.app.test_request_context(headers=headers, **options):
            claim = claim_of(current_request())
            assert claim is not None
            return claim.fingerprints[0]

    def test_form_counts_by_its_fields_and_files(self, api):
        """A form that is sent again has another boundary."""

        def of(name: str = "a", content: bytes = b"x") -> str:
            data = {"name": name, "file": (BytesIO(content), "f.txt")}
            return self.fingerprint(api, method="POST", data=data)

        assert of() == of()
        assert len({of(), of(name="b"), of(content=b"y")}) == 3

    def test_query_method_and_body_count(self, api):
        prints = [
            self.fingerprint(api, method="POST", path="/a", json={"a": 1}),
            self.fingerprint(api, method="POST", path="/a", json={"a": 2}),
            self.fingerprint(api, method="POST", path="/a?b=1", json={"a": 1}),
            self.fingerprint(api, method="PUT", path="/a", json={"a": 1}),
        ]
        assert len(set(prints)) == 4


def test_document_names_the_header(api):
    document = api.app.test_client().get("/openapi.json").json
    takes = {
        (path, method)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if any(it["name"] == "Idempotency-Key" for it in operation.get("parameters", ()))
    }
    assert {
        ("/api/v1/articles", "post"),
        ("/api/v1/articles/{slug}/comments", "post"),
    } <= takes


@pytest.mark.speaks_sql
@pytest.mark.usefixtures("starts_processes")
def test_crash_at_any_point_leaves_no_second_effect(own_api, database_url, tmp_path):
    """A process is killed after each statement, before and after the commit."""
    own_api.article()
    arguments = ["tests.app.whole.crash_write", database_url, str(tmp_path)]
    output = tmp_path / "output"
    process = start_module(arguments, os.environ, output)
    process.join(240)
    assert process.exitcode == 0, output.read_text()
    reports = [json.loads(line) for line in output.read_text().splitlines()]
    assert len(reports) >= 6
    for report in reports:
        is_committed = report["point"] == "after the commit"
        assert report["signal"] == 9
        assert report["after_crash"] == {"effects": is_committed, "keys": is_committed}
        assert report["status"] == 201
        assert report["replayed"] == ("true" if is_committed else None)
        assert report["after_retry"] == {"effects": 1, "keys": 1}
    assert own_api.call("GET", "/articles/tea").json["comments"] == len(reports) + 1
