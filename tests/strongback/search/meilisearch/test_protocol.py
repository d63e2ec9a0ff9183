"""The recording server itself: it refuses what the published API does not know."""

from __future__ import annotations

import json
from typing import Any

import meilisearch
import pytest
import requests
from meilisearch.errors import MeilisearchApiError

from strongback.search import Query
from tests.strongback.search.meilisearch.conftest import ARTICLE, article
from tests.support.meilisearch import MASTER_KEY, Meilisearch, run_meilisearch
from tests.support.meilisearch_server import real_engine


def ask(
    server: Meilisearch,
    method: str,
    path: str,
    body: Any = None,
    *,
    key: str | None = MASTER_KEY,
    content_type: str | None = "application/json",
) -> tuple[int, dict[str, Any]]:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    if content_type and body is not None:
        headers["Content-Type"] = content_type
    data = None if body is None else json.dumps(body)
    answer = requests.request(method, server.url + path, data=data, headers=headers, timeout=5)
    return answer.status_code, answer.json()


def take_problems(server: Meilisearch) -> list[str]:
    """What the server would fail the test for, which it now does not."""
    problems = list(server.problems)
    server.problems.clear()
    return problems


@pytest.mark.parametrize(
    "method, path, body, why",
    [
        ("GET", "/indices", None, "no such route"),
        ("PUT", "/indexes/article/search", {}, "no such route"),
        ("POST", "/indexes/article/search", {"query": "x"}, "unknown field `query`"),
        ("POST", "/indexes/article/search", {"q": "x", "page": -1}, "out of range"),
        ("POST", "/indexes/article/search", {"facets": "tags"}, "expected an array"),
        ("POST", "/indexes/article/search", {"matchingStrategy": "any"}, "unknown value"),
        ("PATCH", "/indexes/article/settings", {"stop_words": []}, "unknown field"),
        ("PATCH", "/indexes/article/settings", {"searchCutoffMs": "700"}, "positive integer"),
        ("PATCH", "/indexes/article/settings", {"rankingRules": ["likes"]}, "form"),
        (
            "PATCH",
            "/indexes/article/settings",
            {"localizedAttributes": [{"attributePatterns": ["*"], "locales": ["english"]}]},
            "unknown value",
        ),
        ("POST", "/keys", {"actions": ["search"], "indexes": ["*"]}, "missing field `expiresAt`"),
        ("POST", "/indexes", {"uid": "no spaces"}, "form"),
        ("POST", "/swap-indexes", {"indexes": ["a", "b"]}, "expected an array"),
        ("GET", "/tasks?indexUid=article", None, "Unknown parameter"),
        ("POST", "/indexes/article/documents?primary_key=id", [], "Unknown parameter"),
    ],
)
def test_what_the_api_does_not_know_is_refused(
    server: Meilisearch, method: str, path: str, body: Any, why: str
) -> None:
    status, answer = ask(server, method, path, body)

    assert status in {400, 404}
    assert answer.keys() == {"message", "code", "type", "link"}
    assert why in answer["message"]
    (problem,) = take_problems(server)
    assert path.partition("?")[0] in problem


def test_a_body_of_no_declared_type_is_refused(server: Meilisearch) -> None:
    status, answer = ask(server, "POST", "/indexes", {"uid": "a"}, content_type="text/plain")

    assert (status, answer["code"]) == (415, "missing_content_type")
    assert len(take_problems(server)) == 1


def test_a_request_that_was_refused_fails_the_test() -> None:
    running = run_meilisearch()
    ask(running.__enter__(), "GET", "/indices")

    with pytest.raises(AssertionError, match="published API"):
        running.__exit__(None, None, None)


@pytest.mark.parametrize(
    "key, status, code",
    [(None, 401, "missing_authorization_header"), ("wrong", 403, "invalid_api_key")],
)
def test_every_route_but_the_sign_of_life_needs_a_key(
    server: Meilisearch, key: str | None, status: int, code: str
) -> None:
    assert ask(server, "GET", "/health", key=key)[0] == 200
    found, answer = ask(server, "GET", "/indexes", key=key)

    assert (found, answer["code"], answer["type"]) == (status, code, "auth")


def test_a_key_opens_its_own_indexes_and_actions_only(server: Meilisearch) -> None:
    options = {"uid": "00000000-0000-4000-8000-000000000001", "actions": ["search"]}
    _, key = ask(server, "POST", "/keys", {**options, "indexes": ["a*"], "expiresAt": None})
    allowed = key["key"]

    assert (
        ask(server, "POST", "/indexes/abc/search", {}, key=allowed)[1]["code"] == "index_not_found"
    )
    assert ask(server, "POST", "/indexes/xyz/search", {}, key=allowed)[0] == 403
    assert ask(server, "GET", "/indexes/abc/settings", key=allowed)[0] == 403


def test_only_a_key_for_all_indexes_sees_the_task_of_a_swap(server: Meilisearch) -> None:
    options = {"actions": ["tasks.get", "indexes.swap"], "expiresAt": None}
    made = [
        ask(server, "POST", "/keys", {**options, "uid": uid, "indexes": indexes})[1]["key"]
        for uid, indexes in (
            ("00000000-0000-4000-8000-000000000001", ["a", "b"]),
            ("00000000-0000-4000-8000-000000000002", ["*"]),
        )
    ]
    _, swap = ask(server, "POST", "/swap-indexes", [{"indexes": ["a", "b"]}], key=made[0])
    seen = [ask(server, "GET", f"/tasks/{swap['taskUid']}", key=key)[0] for key in made]

    assert seen == [404, 200]


def test_a_task_goes_from_enqueued_to_processing_to_done(server: Meilisearch) -> None:
    status, task = ask(server, "POST", "/indexes", {"uid": "a"})
    states = [ask(server, "GET", f"/tasks/{task['taskUid']}")[1]["status"] for _ in range(3)]

    assert (status, task["status"]) == (202, "enqueued")
    assert states == ["enqueued", "processing", "succeeded"]


def test_nothing_has_happened_before_its_task_is_done(server: Meilisearch) -> None:
    _, task = ask(server, "POST", "/indexes", {"uid": "a"})
    assert ask(server, "GET", "/indexes/a")[0] == 404

    for _ in range(3):
        ask(server, "GET", f"/tasks/{task['taskUid']}")
    assert ask(server, "GET", "/indexes/a")[0] == 200


def test_a_failed_task_says_why_as_an_error_does(server: Meilisearch) -> None:
    _, task = ask(server, "DELETE", "/indexes/absent")
    server.settle()

    _, found = ask(server, "GET", f"/tasks/{task['taskUid']}")
    assert (found["status"], found["error"]["code"]) == ("failed", "index_not_found")


def test_the_official_client_finds_its_way(server: Meilisearch) -> None:
    client = meilisearch.Client(server.url, MASTER_KEY, timeout=5)
    client.wait_for_task(client.create_index("a", {"primaryKey": "id"}).task_uid)
    client.wait_for_task(client.index("a").add_documents([{"id": 1}]).task_uid)

    assert client.index("a").get_stats().number_of_documents == 1
    assert client.get_tasks().total == 2
    with pytest.raises(MeilisearchApiError, match="not found"):
        client.index("a").get_document(2)


def test_an_engine_for_tests_leaves_nothing_behind(server: Meilisearch) -> None:
    with real_engine(server.url, MASTER_KEY) as engine:
        engine.rebuild(ARTICLE, [[article(1)]])
        assert engine.search(ARTICLE, Query()).total == 1
        assert server.indexes
        assert server.keys

    server.settle()
    assert (server.indexes, server.keys) == ({}, {})
