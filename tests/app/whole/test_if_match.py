from __future__ import annotations

from collections import Counter
from functools import partial

import httpx
import pytest

from strongback.exceptions import PreconditionFailed
from strongback.precondition import ANY, Expected
from strongback.web.conditional import tags_of
from tests.support.api import API
from tests.support.nginx import run_nginx, run_server
from tests.support.thread import run_together

WRITERS = 50


def change(api: API, etag: str | None, title: str = "Coffee", by: str = "ada"):
    headers = {} if etag is None else {"If-Match": etag}
    return api.call("PATCH", "/articles/tea", by=by, json={"title": title}, headers=headers)


class TestExpected:
    @pytest.mark.parametrize("tag", ["12-3", "12-3-0-0", "12-3-7-9"])
    def test_counters_do_not_matter(self, tag):
        Expected(frozenset({tag})).check("12-3")

    @pytest.mark.parametrize("tag", ["12-30", "12-2-0-0", "112-3", "2-3-0-0", "12", ""])
    def test_another_revision_is_refused(self, tag):
        with pytest.raises(PreconditionFailed):
            Expected(frozenset({tag})).check("12-3")

    def test_anything_fits_any(self):
        ANY.check("12-3")


@pytest.mark.parametrize(
    "header, tags",
    [
        ('"1-2"', {"1-2"}),
        ('W/"1-2"', {"1-2"}),
        ("1-2", {"1-2"}),
        ('"1-1", W/"1-2"', {"1-1", "1-2"}),
    ],
)
def test_tags_are_compared_without_prefix_and_quotes(header, tags):
    assert tags_of(header) == tags


class TestWrite:
    @pytest.mark.speaks_sql
    def test_without_if_match_is_428(self, api):
        api.article()
        response = change(api, None)
        assert (response.status_code, response.json["error_code"]) == (428, 10013)
        assert api.call("DELETE", "/articles/tea", by="ada").status_code == 428

    @pytest.mark.speaks_sql
    def test_with_a_stale_tag_is_412(self, api):
        tag = api.article()["etag"]
        assert change(api, tag).status_code == 200
        response = change(api, tag, "Cocoa")
        assert (response.status_code, response.json["error_code"]) == (412, 10009)
        assert api.call("GET", "/articles/tea").json["title"] == "Coffee"

    @pytest.mark.parametrize("form", ["{}", "W/{}", '"9-9", W/{}', "*", " * "])
    def test_accepts(self, api, form):
        assert change(api, form.format(api.article()["etag"])).status_code == 200

    @pytest.mark.parametrize("header", ["", '""', "garbage", ",", '"9-9-0-0"', "W/", '"*"'])
    def test_whatever_does_not_fit_is_412(self, api, header):
        api.article()
        assert change(api, header).status_code == 412

    @pytest.mark.speaks_sql
    def test_like_in_between_does_not_disturb_the_editor(self, api):
        tag = api.article()["etag"]
        api.call("PUT", "/articles/tea/like", by="eve")
        api.post("/articles/tea/comments", {"body": "b"}, by="eve")
        response = change(api, tag)
        assert response.status_code == 200
        assert (response.json["likes"], response.json["comments"]) == (1, 1)
        assert response.headers["ETag"] == api.call("GET", "/articles/tea").headers["ETag"]

    def test_of_somebody_else_is_403_whatever_the_tag(self, api):
        tag = api.article()["etag"]
        assert change(api, tag, by="bob").status_code == 403
        assert change(api, '"9-9"', by="bob").status_code == 403

    def test_of_nothing_is_404(self, api):
        assert change(api, "*").status_code == 404

    def test_document_asks_for_the_header(self, api):
        paths = api.app.test_client().get("/openapi.json").json["paths"]
        (header,) = (
            parameter
            for parameter in paths["/api/v1/articles/{slug}"]["patch"]["parameters"]
            if parameter["in"] == "header"
        )
        assert (header["name"], header["required"]) == ("If-Match", True)

    @pytest.mark.speaks_sql
    @pytest.mark.parametrize("titles", [["Coffee"] * WRITERS, list(map(str, range(WRITERS)))])
    def test_one_of_fifty_succeeds(self, api, titles):
        tag = api.article()["etag"]
        responses = run_together(*(partial(change, api, tag, title) for title in titles))
        assert Counter(it.status_code for it in responses) == {200: 1, 412: WRITERS - 1}
        (winner,) = (it for it in responses if it.status_code == 200)
        assert api.call("GET", "/articles/tea").json == winner.json
        assert winner.json["version"] == 2

    @pytest.mark.speaks_sql
    def test_one_of_fifty_succeeds_through_nginx_that_compresses(self, api, nginx, tmp_path):
        api.article(body="Leaves. " * 200)
        headers = {"Authorization": "Bearer ada"}
        with (
            run_server(api.app) as port,
            run_nginx(tmp_path, port) as base,
            httpx.Client(base_url=f"{base}/api/v1", headers=headers, timeout=30) as client,
        ):
            read = client.get("/articles/tea")
            assert read.headers["Content-Encoding"] == "gzip"
            assert read.headers["ETag"].startswith('W/"')
            sent = {"If-Match": read.headers["ETag"]}

            def write() -> int:
                return client.patch(
                    "/articles/tea", json={"title": "Coffee"}, headers=sent
                ).status_code

            assert Counter(run_together(*[write] * WRITERS)) == {200: 1, 412: WRITERS - 1}
            fresh = client.get("/articles/tea").headers["ETag"]
            deleted = client.delete("/articles/tea", headers={"If-Match": fresh})
            assert deleted.status_code == 204
