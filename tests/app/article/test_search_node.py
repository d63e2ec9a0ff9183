"""What is cached of searches is never an answer that the index would no longer give."""

from __future__ import annotations

from typing import Any

import pytest

from app.article.index import ARTICLE
from strongback.cache import Manager
from strongback.search import Search
from tests.support.api import API

pytestmark = pytest.mark.speaks_sql


@pytest.fixture
def api(own_api: API) -> API:
    """An index that no other test has written to."""
    return own_api


@pytest.fixture
def search(api: API) -> Search:
    search: Search = api.app.services[Search]
    return search


@pytest.fixture
def cache(api: API) -> Manager:
    cache: Manager = api.app.services[Manager]
    return cache


@pytest.fixture
def tea(api: API, search: Search) -> dict[str, Any]:
    article = api.article(title="Tea guide", body="Leaves and water.")
    search.reindex(ARTICLE.name)
    return article


def found(api: API, typed: str = "tea") -> list[str]:
    answer = api.call("GET", f"/search?q={typed}")
    assert answer.status_code == 200, answer.get_data(as_text=True)
    return [item["title"] for item in answer.get_json()["items"]]


def suggested(api: API) -> list[str]:
    answer = api.call("GET", "/search/suggest?q=te").get_json()
    return [item["text"] for item in answer["items"]]


@pytest.mark.usefixtures("tea")
def test_the_engine_is_asked_once_for_the_same_answer(api: API, cache: Manager) -> None:
    assert [found(api) for _ in range(3)] == [["Tea guide"]] * 3
    assert [suggested(api) for _ in range(3)] == [["Tea guide"]] * 3

    assert cache.all_stats()["search"].loads == 1
    assert cache.all_stats()["suggest"].loads == 1


@pytest.mark.usefixtures("tea")
def test_what_else_is_asked_for_is_another_answer(api: API, cache: Manager) -> None:
    queries = ("q=tea", "q=tea&page_size=5", "q=tea&filter=language%3Den", "q=tea&page=2")
    for query in queries:
        api.call("GET", f"/search?{query}")

    assert cache.all_stats()["search"].loads == len(queries)


def test_a_new_article_is_found_once_it_is_in_the_index(
    api: API, search: Search, tea: dict[str, Any]
) -> None:
    assert found(api) == [tea["title"]]
    other = api.article(title="More tea", body="Green.")

    search.update(ARTICLE.name, [other["id"]])

    assert sorted(found(api)) == ["More tea", "Tea guide"]


@pytest.mark.parametrize("how", ["deleted", "unpublished"])
def test_what_is_gone_is_not_found_once_it_is_out_of_the_index(
    api: API, search: Search, tea: dict[str, Any], how: str
) -> None:
    assert (found(api), suggested(api)) == ([tea["title"]], [tea["title"]])
    path, headers = f"/articles/{tea['slug']}", {"If-Match": tea["etag"]}
    if how == "deleted":
        gone = api.call("DELETE", path, by="ada", headers=headers)
    else:
        gone = api.call("PATCH", path, by="ada", headers=headers, json={"published": False})
    assert gone.status_code < 300, gone.get_data(as_text=True)

    search.update(ARTICLE.name, [tea["id"]])

    assert (found(api), suggested(api)) == ([], [])


def test_an_index_that_was_built_anew_is_asked_anew(api: API, search: Search) -> None:
    search.reindex(ARTICLE.name)
    assert found(api) == []
    api.article(title="Tea guide", body="Leaves and water.")

    search.reindex(ARTICLE.name)

    assert found(api) == ["Tea guide"]


@pytest.mark.usefixtures("tea")
def test_a_refusal_is_not_remembered_as_an_answer(api: API, cache: Manager) -> None:
    refusals = [api.call("GET", "/search?q=tea&filter=nonsense").status_code for _ in range(2)]

    assert refusals == [422, 422]
    assert cache.all_stats()["search"].load_failures == 2
