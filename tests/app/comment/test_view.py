from __future__ import annotations

from datetime import timedelta

import pytest

from strongback.database import utc_now

URL = "/api/v1/articles/{}/comments"


@pytest.fixture
def first(library):
    """An article with three comments, beside another with one."""
    for slug in ("first", "second"):
        library.add_article(slug)
    for body in ("One.", "Two.", "<script>Three</script> 😀"):
        library.add_comment("first", body)
    library.add_comment("second", "Elsewhere.")
    return URL.format("first")


def test_shows_the_articles_comments_oldest_first(client, first):
    page = client.get(first).json
    assert [item["body"] for item in page["items"]] == ["One.", "Two.", "<script>Three</script> 😀"]
    assert page["total"] == 3
    assert set(page["items"][0]) == {"id", "author", "body", "reply_to", "created_at"}


def test_is_walked_by_cursor(client, first):
    part = client.get(f"{first}?cursor=&page_size=2").json
    rest = client.get(f"{first}?page_size=2&cursor={part['next_cursor']}").json
    assert (len(part["items"]), len(rest["items"])) == (2, 1)


def test_of_an_article_without_any_is_empty(client, library):
    library.add_article("third")
    assert client.get(URL.format("third")).json["items"] == []


@pytest.mark.parametrize("slug", ["unknown", "%00", "%F0%9F%98%80", "a b", "First", "%ff"])
def test_of_an_unknown_article_is_refused(client, first, slug):
    response = client.get(URL.format(slug))
    assert response.status_code in {404, 422}


def test_a_space_behind_the_name_makes_no_difference(client, first):
    """To MySQL it makes none, so it makes none on SQLite either."""
    assert client.get(URL.format("first%20")).json == client.get(first).json


def test_of_a_draft_is_404(client, library):
    library.add_article("draft", published_at=utc_now() + timedelta(hours=1))
    assert client.get(URL.format("draft")).status_code == 404


def test_wrong_parameters_are_named(client, first):
    response = client.get(f"{first}?page=0&more=1")
    assert {error["field"] for error in response.json["errors"]} == {"query.page", "query.more"}


class TestLimit:
    """What one person does in a hurry is served; what only a program does is refused."""

    @pytest.mark.parametrize(
        "method, path, body, amount",
        [
            ("POST", "/articles/first/comments", {"body": "Text."}, 30),
            ("POST", "/articles", {"title": "New", "body": "Text."}, 60),
            ("PUT", "/articles/first/like", None, 120),
            ("PUT", "/users/bob/follow", None, 60),
        ],
    )
    def test_each_way_of_writing_has_one_for_each_person(self, api, method, path, body, amount):
        api.article(slug="first", by="bob")
        answers = [api.call(method, path, by="ada", json=body) for _ in range(amount + 1)]
        statuses = [answer.status_code for answer in answers]
        assert all(status < 300 for status in statuses[:-1])
        assert statuses[-1] == 429
        assert api.call(method, path, by="admin", json=body).status_code < 300
