from __future__ import annotations

from functools import partial
from urllib.parse import quote

import pytest
from sqlalchemy import func, select

from app.article.importing import Importer, Outcome
from app.article.model import Article, ArticleLike, ArticleTag
from app.article.service import ArticleService
from app.article.source import documents_in_folder
from app.comment.model import Comment
from tests.support.api import API
from tests.support.thread import run_together

pytestmark = pytest.mark.speaks_sql


def patch(api: API, slug: str, change: object, *, etag: str = "*", by: str = "ada"):
    headers = {"If-Match": etag}
    return api.call("PATCH", f"/articles/{quote(slug)}", by=by, json=change, headers=headers)


def count(api: API, model: type) -> int:
    with api.database.scope():
        return api.database.session.scalar(select(func.count()).select_from(model)) or 0


class TestCreate:
    def test_answers_201_with_its_address_and_tag(self, api):
        response = api.post(
            "/articles", {"title": "Green Tea", "body": "# Leaves\n\nFresh."}, by="ada"
        )
        assert response.status_code == 201
        article = response.json
        assert response.headers["Location"] == "/api/v1/articles/green-tea"
        assert response.headers["ETag"] == f'"{article["id"]}-1-0-0"'
        assert response.headers["Cache-Control"] == "no-store"
        assert article["author"] == "ada"
        assert article["summary"] == "Fresh."
        assert article["published_at"] is None
        assert article["language"] == "en"
        assert article["created_at"] == article["updated_at"]

    def test_address_leads_to_it(self, api):
        response = api.post(
            "/articles", {"title": "绿茶 & 红茶", "body": "叶", "published": True}, by="ada"
        )
        address = response.headers["Location"].removeprefix("/api/v1")
        assert address == f"/articles/{quote('绿茶-红茶')}"
        read = api.call("GET", address)
        assert (read.status_code, read.headers["ETag"]) == (200, response.headers["ETag"])
        assert read.json == response.json

    def test_title_that_is_taken_gets_another_slug(self, api):
        slugs = {api.article(title="Tea")["slug"] for _ in range(3)}
        assert len(slugs) == 3
        assert all(slug.startswith("tea") for slug in slugs)

    @pytest.mark.parametrize("title", ["!!!", "፲", "-" * 200])
    def test_title_without_letters_gets_a_slug_too(self, api, title):
        slug = api.article(title=title)["slug"]
        assert slug == "article"
        assert api.call("GET", f"/articles/{slug}").status_code == 200

    def test_long_title_is_cut_to_a_slug(self, api):
        first, second = (api.article(title="x" * 200)["slug"] for _ in range(2))
        assert (len(first), len(second), first != second) == (120, 120, True)

    def test_slug_that_is_taken_is_refused(self, api):
        api.article(slug="tea")
        response = api.post("/articles", {"title": "B", "body": "b", "slug": "tea"}, by="bob")
        assert (response.status_code, response.json["error_code"]) == (409, 30002)
        assert count(api, Article) == 1

    def test_tags_are_folded(self, api):
        article = api.article(tags=["Python", " python ", "Ｗｅｂ", "two  words"])
        assert article["tags"] == ["python", "two words", "web"]
        assert api.call("GET", "/articles?tag=PYTHON").json["total"] == 1

    def test_slug_in_any_spelling_is_the_same(self, api):
        """One letter, or a letter and its accent."""
        api.article(slug="th\u0065\u0301")
        for spelling in ("th\u00e9", "th\u0065\u0301"):
            assert api.call("GET", f"/articles/{quote(spelling)}").status_code == 200

    def test_html_is_sanitised(self, api):
        body = '<script>alert(1)</script>\n\n<a href="javascript:alert(1)" onclick="x()">a</a>'
        html = api.article(body=body)["html"]
        assert not any(bad in html for bad in ("script", "onclick", "alert(1)<"))

    @pytest.mark.parametrize(
        "field, value",
        [
            ("author", "bob"),
            ("version", 9),
            ("likes", 9),
            ("comments", 9),
            ("id", 9),
            ("html", "<script>"),
            ("published_at", "2020-01-01T00:00:00Z"),
            ("created_at", "2020-01-01T00:00:00Z"),
            ("title", ""),
            ("title", " \n "),
            ("title", "x" * 201),
            ("title", 1),
            ("title", None),
            ("body", "  "),
            ("body", "x" * 100_001),
            ("slug", "Not A Slug"),
            ("slug", ""),
            ("tags", ["x" * 41]),
            ("tags", ["\ufdfa" * 10]),
            ("tags", [str(number) for number in range(21)]),
            ("tags", "python"),
            ("tags", [" "]),
            ("language", "English"),
            ("published", "yes"),
        ],
    )
    def test_field_that_is_not_writable_or_wrong_is_422(self, api, field, value):
        response = api.post("/articles", {"title": "t", "body": "b"} | {field: value}, by="ada")
        assert response.status_code == 422
        assert response.json["errors"][0]["field"].startswith(f"body.{field}")
        assert count(api, Article) == 0

    def test_twenty_of_one_title_at_once(self, api):
        create = partial(api.article, title="Tea")
        slugs = {article["slug"] for article in run_together(*[create] * 20)}
        assert len(slugs) == 20


class TestChange:
    def test_changes_what_is_sent_and_nothing_else(self, api):
        before = api.article(summary="S", tags=["a"], language="zh")
        response = patch(api, "tea", {"title": "Coffee"}, etag=before["etag"])
        assert response.status_code == 200
        assert response.headers["ETag"] == f'"{before["id"]}-2-0-0"'
        changed = {"title", "version", "updated_at"}
        assert {name for name, value in response.json.items() if before[name] != value} == changed
        assert api.call("GET", "/articles/tea").json == response.json

    @pytest.mark.parametrize(
        "change, expected",
        [
            ({"body": "*new*"}, {"body": "*new*", "html": "<p><em>new</em></p>\n", "summary": "S"}),
            ({"summary": None}, {"summary": "Leaves."}),
            ({"summary": ""}, {"summary": ""}),
            ({"body": "New.", "summary": None}, {"summary": "New."}),
            ({"tags": []}, {"tags": []}),
            ({"tags": ["B", "c"]}, {"tags": ["b", "c"]}),
            ({"language": "zh"}, {"language": "zh"}),
            ({"slug": "new"}, {"slug": "new"}),
            ({"published": False}, {"published_at": None}),
        ],
    )
    def test_field(self, api, change, expected):
        api.article(summary="S", tags=["a", "b"])
        response = patch(api, "tea", change)
        assert response.status_code == 200
        assert expected | {"version": 2} == {
            name: response.json[name] for name in expected | {"version": 2}
        }
        read = api.call("GET", f"/articles/{expected.get('slug', 'tea')}", by="ada")
        assert read.json == response.json

    @pytest.mark.parametrize("field", ["title", "body", "slug", "tags", "language", "published"])
    def test_null_is_no_value(self, api, field):
        api.article()
        assert patch(api, "tea", {field: None}).status_code == 422

    @pytest.mark.parametrize("field", ["author", "version", "likes", "comments", "html", "id"])
    def test_what_is_not_writable_is_refused(self, api, field):
        before = api.article()
        assert patch(api, "tea", {field: before[field]}).status_code == 422

    def test_nothing_sent_changes_nothing(self, api):
        before = api.article()
        response = patch(api, "tea", {})
        assert (response.status_code, response.headers["ETag"]) == (200, before["etag"])

    def test_publishing_again_keeps_the_first_moment(self, api):
        before = api.article()
        after = patch(api, "tea", {"published": True}).json
        assert after["published_at"] == before["published_at"]

    def test_slug_that_is_taken_is_refused(self, api):
        api.article(title="Coffee")
        api.article()
        assert patch(api, "tea", {"slug": "coffee", "title": "x"}).status_code == 409
        assert api.call("GET", "/articles/tea").json["title"] == "Tea"

    def test_draft_of_somebody_else_is_not_found(self, api):
        api.article(published=False)
        assert patch(api, "tea", {"title": "x"}, by="bob").status_code == 404
        assert patch(api, "tea", {"title": "x"}, by="admin").status_code == 200

    def test_manager_leaves_the_author_as_it_was(self, api):
        api.article()
        assert patch(api, "tea", {"title": "x"}, by="admin").json["author"] == "ada"


class TestDraft:
    def test_is_for_its_author_and_managers(self, api):
        api.article(published=False)
        statuses = {
            by: api.call("GET", "/articles/tea", by=by).status_code
            for by in (None, "eve", "bob", "ada", "admin")
        }
        assert statuses == {None: 404, "eve": 404, "bob": 404, "ada": 200, "admin": 200}

    def test_is_no_304_for_others(self, api):
        tag = {"If-None-Match": api.article(published=False)["etag"]}
        assert api.call("GET", "/articles/tea", by="ada", headers=tag).status_code == 304
        assert api.call("GET", "/articles/tea", by="bob", headers=tag).status_code == 404
        assert api.call("GET", "/articles/tea", headers=tag).status_code == 404

    def test_answer_is_private(self, api):
        etag = api.article(published=False)["etag"]
        for headers in ({}, {"If-None-Match": etag}):
            response = api.call("GET", "/articles/tea", by="ada", headers=headers)
            assert response.headers["Cache-Control"] == "private, no-cache"
            assert response.headers["ETag"] == etag

    @pytest.mark.parametrize(
        "method, path", [("PUT", "like"), ("DELETE", "like"), ("POST", "comments")]
    )
    def test_is_closed_to_likes_and_comments(self, api, method, path):
        api.article(published=False)
        body = {"body": "b"} if path == "comments" else None
        assert api.call(method, f"/articles/tea/{path}", by="ada", json=body).status_code == 404


class TestDelete:
    def test_takes_everything_along(self, api):
        api.article(tags=["a"])
        api.post("/articles/tea/comments", {"body": "b"}, by="eve")
        api.call("PUT", "/articles/tea/like", by="eve")
        response = api.call("DELETE", "/articles/tea", by="ada", headers={"If-Match": "*"})
        assert (response.status_code, response.data) == (204, b"")
        assert api.call("GET", "/articles/tea").status_code == 404
        assert [count(api, model) for model in (Article, ArticleTag, ArticleLike, Comment)] == [
            0
        ] * 4

    def test_with_a_stale_tag_deletes_nothing(self, api):
        tag = api.article()["etag"]
        patch(api, "tea", {"title": "x"})
        response = api.call("DELETE", "/articles/tea", by="ada", headers={"If-Match": tag})
        assert response.status_code == 412
        assert count(api, Article) == 1

    def test_tag_of_a_deleted_article_does_not_fit_its_successor(self, api):
        tag = api.article()["etag"]
        api.call("DELETE", "/articles/tea", by="ada", headers={"If-Match": tag})
        api.article()
        assert patch(api, "tea", {"title": "x"}, etag=tag).status_code == 412


class TestLike:
    def test_twice_counts_once(self, api):
        api.article()
        for _ in range(2):
            assert api.call("PUT", "/articles/tea/like", by="eve").status_code == 204
        assert api.call("GET", "/articles/tea").json["likes"] == 1
        for _ in range(2):
            assert api.call("DELETE", "/articles/tea/like", by="eve").status_code == 204
        assert api.call("GET", "/articles/tea").json["likes"] == 0

    def test_is_shown_to_whoever_has_an_older_copy(self, api):
        """The text has not changed, the representation has."""
        tag, modified = api.article()["etag"], api.call("GET", "/articles/tea").json["updated_at"]
        api.call("PUT", "/articles/tea/like", by="eve")
        response = api.call("GET", "/articles/tea", headers={"If-None-Match": tag})
        assert (response.status_code, response.json["updated_at"]) == (200, modified)

    def test_of_nothing_is_404(self, api):
        assert api.call("PUT", "/articles/none/like", by="eve").status_code == 404
        assert api.call("DELETE", "/articles/none/like", by="eve").status_code == 404

    def test_counter_is_right_under_concurrency(self, api):
        """Four accounts like and unlike one article at once, and end up liking it."""
        api.article()

        def waver(name: str) -> list[int]:
            calls = [*["PUT", "DELETE"] * 8, "PUT", "PUT"]
            return [api.call(method, "/articles/tea/like", by=name).status_code for method in calls]

        names = ["admin", "ada", "bob", "eve"]
        answers = run_together(*(partial(waver, name) for name in names for _ in range(2)))
        assert {status for statuses in answers for status in statuses} == {204}
        assert api.call("GET", "/articles/tea").json["likes"] == count(api, ArticleLike) == 4


class TestImport:
    def test_shares_the_write_path(self, api, tmp_path):
        """Tags are folded, and only what changed becomes a new version."""
        file = tmp_path / "tea.md"
        file.write_text("---\ntags: [Green, green, Ａ]\n---\n# Tea\n\nLeaves.\n")

        def run() -> Outcome:
            importer = Importer(api.app.services[ArticleService], author="ada")
            (result,) = importer.run(documents_in_folder(file))
            return result.outcome

        assert [run(), run()] == [Outcome.CREATED, Outcome.UNCHANGED]
        article = api.call("GET", "/articles/tea").json
        assert (article["tags"], article["version"]) == (["a", "green"], 1)
        file.write_text("---\ndate: 2999-01-01\n---\n# Later\n\nLeaves.\n")
        assert run() is Outcome.UPDATED
        assert api.call("GET", "/articles/tea").status_code == 404
        file.write_text("---\ndate: 2020-01-01\ntags: [green]\n---\n# Tea\n\nLeaves.\n")
        assert run() is Outcome.UPDATED
        article = api.call("GET", "/articles/tea").json
        assert (article["version"], article["published_at"]) == (3, "2020-01-01T00:00:00Z")

    def test_date_ahead_keeps_a_new_article_from_readers(self, api, tmp_path):
        (tmp_path / "tea.md").write_text("---\ndate: 2999-01-01\n---\n# Tea\n")
        service = api.app.services[ArticleService]
        list(Importer(service, author="ada").run(documents_in_folder(tmp_path)))
        assert api.call("GET", "/articles/tea").status_code == 404
        assert api.call("GET", "/articles/tea", by="ada").status_code == 200
