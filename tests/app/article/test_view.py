from __future__ import annotations

import re
from datetime import timedelta

import pytest

from strongback.database import utc_now
from tests.app.article_library import LONG_AGO

URL = "/api/v1/articles"
SUMMARY = {
    "id",
    "slug",
    "title",
    "summary",
    "tags",
    "language",
    "author",
    "version",
    "likes",
    "comments",
    "published_at",
    "created_at",
    "updated_at",
}


def slugs(response):
    assert response.status_code == 200, response.data
    return [item["slug"] for item in response.json["items"]]


class TestRead:
    def test_has_the_text_and_everything_about_it(self, client, library):
        library.add_article("first", "# One\n\nText.", tags=("b", "a"))
        article = client.get(f"{URL}/first").json
        assert set(article) == SUMMARY | {"body", "html"}
        assert article["body"] == "# One\n\nText."
        assert article["html"] == '<h1 id="user-content-one">One</h1>\n<p>Text.</p>\n'
        assert article["tags"] == ["a", "b"]
        assert article["published_at"] == "2026-01-01T00:00:00Z"

    def test_times_are_utc(self, client, library):
        library.add_article("first")
        article = client.get(f"{URL}/first").json
        for name in ("published_at", "created_at", "updated_at"):
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?Z", article[name])

    def test_the_tag_changes_with_the_article(self, client, library):
        library.add_article("first")
        before = client.get(f"{URL}/first").headers["ETag"]
        library.add_article("first", "Other.")
        response = client.get(f"{URL}/first", headers={"If-None-Match": before})
        assert response.status_code == 200
        assert response.headers["ETag"] != before

    def test_changed_tags_are_seen_by_who_has_a_copy(self, client, library):
        library.add_article("first", tags=("a",))
        tag = client.get(f"{URL}/first").headers["ETag"]
        library.add_article("first", tags=("b",))
        response = client.get(f"{URL}/first", headers={"If-None-Match": tag})
        assert response.status_code == 200
        assert response.json["tags"] == ["b"]

    def test_an_unknown_one_is_404(self, client):
        response = client.get(f"{URL}/unknown")
        assert (response.status_code, response.json["error_code"]) == (404, 30001)

    def test_a_draft_is_404(self, client, library):
        library.add_article("first", published_at=utc_now() + timedelta(hours=1))
        assert client.get(f"{URL}/first").status_code == 404

    @pytest.mark.parametrize(
        "slug",
        ["First", "a_b", "-a", "a-", "a--b", "a%20b", "%00", "%ff", "a" * 121, "..", "a%2fb"],
    )
    def test_what_is_no_slug_is_refused(self, client, slug):
        assert client.get(f"{URL}/{slug}").status_code in {404, 422}

    def test_a_slug_in_any_script_is_found(self, client, library):
        library.add_article("中文-标题")
        assert client.get(f"{URL}/中文-标题").status_code == 200


@pytest.mark.speaks_sql
class TestList:
    def test_has_no_texts(self, client, library):
        library.add_article("first")
        (item,) = client.get(URL).json["items"]
        assert set(item) == SUMMARY | {"views"}

    def test_is_newest_first(self, client, library):
        for day in (2, 1, 3):
            library.add_article(f"day-{day}", published_at=LONG_AGO + timedelta(days=day))
        assert slugs(client.get(URL)) == ["day-3", "day-2", "day-1"]

    @pytest.mark.parametrize(
        "sort, expected",
        [
            ("published_at", ["a", "b"]),
            ("-published_at", ["b", "a"]),
            ("updated_at", ["b", "a"]),
            ("-updated_at", ["a", "b"]),
        ],
    )
    def test_may_be_sorted(self, client, library, sort, expected):
        library.add_article("b", published_at=LONG_AGO + timedelta(days=1))
        library.add_article("a", published_at=LONG_AGO)
        assert slugs(client.get(f"{URL}?sort={sort}")) == expected

    @pytest.mark.parametrize(
        "query, expected",
        [
            ("tag=x", {"a", "b"}),
            ("tag=y", {"b"}),
            ("tag=X", {"a", "b"}),
            ("tag=", set()),
            ("tag=%20x%20", {"a", "b"}),
            ("author=eve%20", {"c"}),
            ("author=eve", {"c"}),
            ("language=zh", {"b"}),
            ("tag=x&language=zh", {"b"}),
            ("tag=%00", set()),
            ("tag=%25", set()),
            ("author=%F0%9F%98%80", set()),
        ],
    )
    def test_may_be_filtered(self, client, library, query, expected):
        library.add_article("a", tags=("x",))
        library.add_article("b", tags=("x", "y"), language="zh")
        library.add_article("c", author="eve")
        response = client.get(f"{URL}?{query}")
        assert set(slugs(response)) == expected
        assert response.json["total"] == len(expected)

    @pytest.mark.parametrize(
        "query, field",
        [
            ("sort=title", "query.sort"),
            ("page=0", "query.page"),
            ("page_size=101", "query.page_size"),
            ("page_size=0", "query.page_size"),
            ("page=100001", "query.page"),
            ("language=EN", "query.language"),
            ("cursor=x", "query.cursor"),
            ("order=x", "query.order"),
            ("cursor=" + "A" * 513, "query.cursor"),
        ],
    )
    def test_a_wrong_parameter_is_named(self, client, query, field):
        response = client.get(f"{URL}?{query}")
        assert response.status_code == 422
        assert [error["field"] for error in response.json["errors"]] == [field]

    def test_leads_to_its_neighbours(self, client, library):
        for number in range(5):
            library.add_article(f"a-{number}")
        response = client.get(f"{URL}?page=2&page_size=2&language=en")
        assert response.headers["Link"] == (
            f'<{URL}?page_size=2&language=en&page=1>; rel="first", '
            f'<{URL}?page_size=2&language=en&page=1>; rel="prev", '
            f'<{URL}?page_size=2&language=en&page=3>; rel="next", '
            f'<{URL}?page_size=2&language=en&page=3>; rel="last"'
        )

    @pytest.mark.parametrize("sort", ["-published_at", "published_at", "-updated_at", "updated_at"])
    def test_is_walked_by_cursor_while_articles_are_added(self, client, library, sort):
        for number in range(5):
            library.add_article(f"a-{number}")
        seen, cursor = [], ""
        while cursor is not None:
            response = client.get(
                URL, query_string={"sort": sort, "cursor": cursor, "page_size": 2}
            )
            seen += slugs(response)
            cursor = response.json.get("next_cursor")
            if sort.startswith("-"):
                library.add_article(f"new-{len(seen)}", published_at=utc_now())
        assert sorted(seen) == [f"a-{number}" for number in range(5)]

    def test_the_next_part_is_linked(self, client, library):
        for number in range(3):
            library.add_article(f"a-{number}")
        link = client.get(f"{URL}?cursor=&page_size=2").headers["Link"]
        following = re.search(r'<([^>]+)>; rel="next"', link)
        assert following
        assert len(slugs(client.get(following[1]))) == 1

    def test_is_confirmed_as_unchanged(self, client, library):
        library.add_article("first")
        tag = client.get(URL).headers["ETag"]
        assert client.get(URL, headers={"If-None-Match": tag}).status_code == 304
        library.add_article("second")
        assert client.get(URL, headers={"If-None-Match": tag}).status_code == 200


@pytest.mark.speaks_sql
class TestCost:
    def test_an_article_in_the_cache_is_confirmed_without_a_statement(
        self, client, library, statements
    ):
        library.add_article("first")
        tag = client.get("/api/v1/articles/first").headers["ETag"]
        statements.clear()
        response = client.get("/api/v1/articles/first", headers={"If-None-Match": tag})
        assert response.status_code == 304
        assert statements == []

    def test_an_article_is_read_by_two_statements(self, client, library, statements):
        """One for the article with its text, one for its tags."""
        library.add_article("first", tags=("a", "b"))
        statements.clear()
        client.get("/api/v1/articles/first")
        assert len(statements) == 2

    def test_a_list_loads_no_text_and_no_tags_one_by_one(self, client, library, statements):
        for number in range(5):
            library.add_article(f"article-{number}", tags=("a",))
        statements.clear()
        assert len(client.get("/api/v1/articles").json["items"]) == 5
        # The next publication, count, ids out of an index, the articles of these ids, their tags.
        assert len(statements) == 5
        assert not any(re.search(r"\b(body|html)\b", statement) for statement in statements)
