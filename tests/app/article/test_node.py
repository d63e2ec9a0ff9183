"""What everybody is answered comes from the cache, and nothing in it is anybody's secret."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from app.article.model import Article
from app.article.view_count import ViewCounter
from strongback.cache import Manager
from strongback.database import utc_now
from tests.support.api import API
from tests.support.cache import eventually

pytestmark = pytest.mark.speaks_sql


def read(api: API, path: str, by: str | None = None) -> Any:
    return api.call("GET", path, by=by)


def schedule(api: API, slug: str, moment: Any) -> None:
    """Give an article a moment of its own, as an import does."""

    def change(session: Any) -> None:
        article = session.query(Article).filter_by(slug=slug).one()
        article.published_at = moment

    api.database.transact(change)


def loads(api: API, name: str) -> int:
    cache: Manager = api.app.services[Manager]
    return cache.all_stats()[name].loads


def test_the_second_reader_costs_the_database_nothing(api: API) -> None:
    article = api.article(slug="tea")

    first, second = read(api, "/articles/tea"), read(api, "/articles/tea")

    assert first.data == second.data
    assert first.headers["ETag"] == second.headers["ETag"] == article["etag"]
    assert loads(api, "article") == 1


def test_an_answer_from_the_cache_is_the_one_that_the_writer_got(api: API) -> None:
    article = api.article(slug="tea", tags=["b", "a"], body="*é* 茶 \U0001f375")

    assert read(api, "/articles/tea").get_json() == {k: article[k] for k in article if k != "etag"}


def test_a_draft_is_its_authors_alone(api: API) -> None:
    api.article(slug="tea", published=False)

    statuses = [read(api, "/articles/tea", by).status_code for by in ("ada", None, "bob", "admin")]

    assert statuses == [200, 404, 404, 200]
    assert [read(api, "/articles/tea", by).status_code for by in (None, "eve")] == [404, 404]


def test_a_published_article_taken_back_is_gone_at_once(api: API) -> None:
    article = api.article(slug="tea")
    assert read(api, "/articles/tea").status_code == 200

    headers = {"If-Match": article["etag"]}
    api.call("PATCH", "/articles/tea", by="ada", json={"published": False}, headers=headers)

    assert read(api, "/articles/tea").status_code == 404
    assert read(api, "/articles").get_json()["total"] == 0
    assert read(api, "/articles/tea/comments").status_code == 404


def test_an_article_leaves_the_list_of_a_tag_that_is_taken_from_it(api: API) -> None:
    api.article(tags=["drink", "hot"])
    assert len(api.call("GET", "/articles?tag=hot").get_json()["items"]) == 1
    headers = {"If-Match": "*"}
    api.call("PATCH", "/articles/tea", by="ada", json={"tags": ["drink"]}, headers=headers)
    assert api.call("GET", "/articles?tag=hot").get_json()["items"] == []


def test_an_article_comes_out_at_its_moment(api: API) -> None:
    api.article(slug="tea", published=False)
    moment = utc_now() + timedelta(seconds=3)
    schedule(api, "tea", moment)

    before = [read(api, "/articles/tea").status_code, read(api, "/articles").get_json()["total"]]
    assert eventually(lambda: utc_now() > moment)
    after = [read(api, "/articles/tea").status_code, read(api, "/articles").get_json()["total"]]

    assert (before, after) == ([404, 0], [200, 1])


def test_writers_read_what_they_have_written(api: API) -> None:
    article = api.article(slug="tea", title="Old")
    for number in range(5):
        read(api, "/articles/tea")
        read(api, "/articles")
        answer = api.call(
            "PATCH",
            "/articles/tea",
            by="ada",
            json={"title": f"New {number}"},
            headers={"If-Match": article["etag"]},
        )
        article["etag"] = answer.headers["ETag"]

        assert read(api, "/articles/tea").get_json()["title"] == f"New {number}"
        assert read(api, "/articles").get_json()["items"][0]["title"] == f"New {number}"


def test_likes_and_comments_show_at_once(api: API) -> None:
    api.article(slug="tea")
    read(api, "/articles/tea")
    read(api, "/articles")
    read(api, "/articles/tea/comments")

    api.call("PUT", "/articles/tea/like", by="eve")
    comment = api.post("/articles/tea/comments", {"body": "Mild."}, by="eve").get_json()

    shown = read(api, "/articles/tea").get_json()
    assert (shown["likes"], shown["comments"]) == (1, 1)
    assert read(api, "/articles").get_json()["items"][0]["likes"] == 1
    assert read(api, "/articles/tea/comments").get_json()["total"] == 1
    api.call("DELETE", f"/comments/{comment['id']}", by="eve")
    assert read(api, "/articles/tea/comments").get_json()["total"] == 0
    assert read(api, "/articles/tea").get_json()["comments"] == 0


def test_a_renamed_article_is_found_by_its_new_name_alone(api: API) -> None:
    article = api.article(slug="tea")
    assert [read(api, f"/articles/{slug}").status_code for slug in ("tea", "chai")] == [200, 404]

    headers = {"If-Match": article["etag"]}
    api.call("PATCH", "/articles/tea", by="ada", json={"slug": "chai"}, headers=headers)

    assert [read(api, f"/articles/{slug}").status_code for slug in ("tea", "chai")] == [404, 200]


def test_added_up_views_reach_the_lists(api: API) -> None:
    api.article(slug="tea")
    assert read(api, "/articles").get_json()["items"][0]["views"] == 0
    read(api, "/articles/tea")
    views: ViewCounter = api.app.services[ViewCounter]

    views.save()
    views.add_up()

    assert read(api, "/articles").get_json()["items"][0]["views"] == 1


def test_an_account_that_changes_shows_at_once(api: API) -> None:
    before = api.call("GET", "/users/eve", by="admin")

    api.call("PUT", "/users/eve/roles", by="admin", json={"roles": ["author"]})

    after = api.call("GET", "/users/eve", by="admin")
    assert (before.get_json()["roles"], after.get_json()["roles"]) == (["user"], ["author"])
    assert before.headers["ETag"] != after.headers["ETag"]


def test_signing_up_ends_the_memory_that_there_is_nobody(api: API) -> None:
    assert read(api, "/users/newcomer").status_code == 404

    api.post("/users", {"username": "newcomer", "password": "a good new password"})

    assert read(api, "/users/newcomer").status_code == 200


def test_top_tags_are_those_of_published_articles(api: API) -> None:
    api.article(slug="one", tags=["tea", "green"])
    api.article(slug="two", tags=["tea"])
    api.article(slug="draft", tags=["secret"], published=False)

    assert read(api, "/tags").get_json() == {"items": ["tea", "green"]}
    assert read(api, "/tags?limit=1").get_json() == {"items": ["tea"]}
    assert read(api, "/tags?limit=0").status_code == 422


def test_what_another_process_changes_is_felt_within_seconds(api: API) -> None:
    api.article(slug="tea", title="Old")
    read(api, "/articles/tea")

    with api.database.engine.begin() as connection:  # as a command in another process
        connection.execute(update(Article).values(title="New"))
    time.sleep(2.1)

    assert read(api, "/articles/tea").get_json()["title"] == "New"


@pytest.mark.parametrize("workers", [1, 2])
def test_several_workers_remember_nothing_unless_they_hear_of_each_other(
    settings: Any, workers: int
) -> None:
    api = API(settings.model_copy(update={"web_workers": workers}))
    stored = {
        name: type(storage).__name__
        for name, storage in api.app.services[Manager].all_storage.items()
    }
    api.close()

    assert stored["local"] == ("LocalStorage" if workers == 1 else "NullStorage")
