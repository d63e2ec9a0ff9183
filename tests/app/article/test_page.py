"""The public pages: what they show to everybody, and when they follow a change."""

from __future__ import annotations

import gzip
import html
import re
from datetime import timedelta
from typing import Any
from xml.etree import ElementTree as ET

import brotli
import pytest
from werkzeug.test import TestResponse

from app.article.model import Article
from app.article.view_count import ViewCounter
from strongback.config import Environment
from strongback.database import utc_now
from tests.support.api import API
from tests.support.sign_in import Client

ANY = {"If-Match": "*"}
ATOM = "{http://www.w3.org/2005/Atom}"


def read(api: API, path: str, **headers: str) -> TestResponse:
    """Open a page; a header's name has underscores."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return api.app.test_client().get(path, headers=sent)


class TestAnArticle:
    def test_shows_its_text_and_what_people_wrote_escaped(self, api: API):
        api.article(title="<Tea> & more", slug="tea", body="Some *leaves*.", tags=["a b"])
        api.post("/articles/tea/comments", {"body": "<script>1</script>"}, by="eve")
        page = read(api, "/articles/tea").text
        assert '<h1 dir="auto">&lt;Tea&gt; &amp; more</h1>' in page
        assert "<em>leaves</em>" in page
        assert 'href="/tags/a%20b?language=en"' in page
        assert "&lt;script&gt;1&lt;/script&gt;" in page
        assert "<script>1" not in page

    def test_follows_each_change_at_the_next_request(self, api: API):
        api.article()
        first = read(api, "/articles/tea")
        steps: list[tuple[str, str, Any, str]] = [
            ("PATCH", "/articles/tea", {"body": "Other leaves."}, "Other leaves."),
            ("PUT", "/articles/tea/like", None, '<span data-count="likes">1</span>'),
            ("POST", "/articles/tea/comments", {"body": "Well said."}, "Well said."),
            ("PATCH", "/articles/tea", {"title": "Green tea"}, "Green tea"),
        ]
        tags = {first.headers["ETag"]}
        for method, path, body, shown in steps:
            assert shown not in first.text
            assert api.call(method, path, by="ada", json=body, headers=ANY).status_code < 300
            page = read(api, "/articles/tea")
            assert shown in page.text
            tags.add(page.headers["ETag"])
        assert len(tags) == 1 + len(steps)

    def test_shows_the_comment_that_has_taken_the_place_of_another(self, api: API):
        """The number of comments is as before, and with it the tag of the JSON."""
        api.article()
        comment = api.post("/articles/tea/comments", {"body": "The first."}, by="eve").json
        assert "The first." in read(api, "/articles/tea").text
        api.call("DELETE", f"/comments/{comment['id']}", by="eve")
        api.post("/articles/tea/comments", {"body": "The second."}, by="eve")
        page = read(api, "/articles/tea").text
        assert "The first." not in page
        assert "The second." in page

    def test_is_gone_with_the_article(self, api: API):
        api.article()
        assert read(api, "/articles/tea").status_code == 200
        api.call("DELETE", "/articles/tea", by="ada", headers=ANY)
        assert read(api, "/articles/tea").status_code == 404

    def test_has_the_same_bytes_for_everybody(self, api: API):
        api.article()
        stranger, author = read(api, "/articles/tea"), read(
            api, "/articles/tea", Authorization="Bearer ada", Cookie="session=ada"
        )
        assert author.data == stranger.data
        assert author.headers["ETag"] == stranger.headers["ETag"]
        assert "private" not in author.headers["Cache-Control"]
        assert "Set-Cookie" not in author.headers

    def test_names_its_neighbours_until_they_are_withdrawn(self, api: API):
        for name in ("One", "Two", "Three"):
            api.article(title=name)
        page = read(api, "/articles/two").text
        assert re.search(r'<a rel="prev" href="/articles/one">.*One', page)
        assert re.search(r'<a rel="next" href="/articles/three">.*Three', page)
        api.call("PATCH", "/articles/three", by="ada", json={"published": False}, headers=ANY)
        api.call("PATCH", "/articles/one", by="ada", json={"title": "First"}, headers=ANY)
        page = read(api, "/articles/two").text
        assert "Three" not in page
        assert re.search(r'<a rel="prev" href="/articles/one">.*First', page)

    def test_names_its_version_in_the_other_language(self, api: API):
        api.article(slug="tea")
        api.article(slug="tea-zh", title="茶", language="zh")
        page = read(api, "/articles/tea-zh")
        assert page.headers["Content-Language"] == "zh"
        assert '<html lang="zh">' in page.text
        assert re.search(
            r'<link rel="alternate" hreflang="en" href="http[^"]+/articles/tea">', page.text
        )
        assert re.search(r'<link rel="canonical" href="http[^"]+/articles/tea-zh">', page.text)
        assert 'href="/articles/tea" hreflang="en" lang="en">English' in page.text

    def test_counts_the_reader(self, api: API):
        api.article()
        read(api, "/articles/tea")
        api.app.services[ViewCounter].save()
        api.app.services[ViewCounter].add_up()
        assert api.call("GET", "/articles").get_json()["items"][0]["views"] == 1

    def test_has_its_many_comments_on_pages(self, api: API):
        api.article()
        api.app.extensions["limiter"] = None
        for number in range(51):
            api.post("/articles/tea/comments", {"body": f"Comment {number}."}, by="eve")
        assert "Comment 50." not in read(api, "/articles/tea").text
        page = read(api, "/articles/tea?page=2").text
        assert "Comment 50." in page
        assert "Comment 49." not in page


class TestADraft:
    def test_is_on_no_page(self, api: API):
        api.article(title="Secret plan", slug="plan", published=False, tags=["secret"])
        assert read(api, "/articles/plan", Authorization="Bearer ada").status_code == 404
        for path in ("/", "/tags", "/authors", "/feed.xml", "/sitemap/0.xml", "/search?q=secret"):
            page = read(api, path).text
            assert "Secret plan" not in page
            assert "/plan" not in page
        assert read(api, "/tags/secret").status_code == 404

    def test_leaves_all_pages_when_it_becomes_one(self, api: API):
        api.article(title="Hasty", slug="hasty")
        paths = ("/", "/authors/ada", "/feed.xml")
        assert all("Hasty" in read(api, path).text for path in paths)
        api.call("PATCH", "/articles/hasty", by="ada", json={"published": False}, headers=ANY)
        assert [path for path in paths if "Hasty" in read(api, path).text] == []


class TestTheList:
    def test_begins_in_development_with_what_runs(self, settings):
        client = Client(settings.model_copy(update={"app_env": Environment.DEVELOPMENT}))
        client.empty()
        assert "It runs." in client.app.test_client().get("/").text
        client.close()

    def test_follows_a_change_at_the_next_request(self, api: API):
        api.article()
        assert "Tea" in read(api, "/").text
        api.call("PATCH", "/articles/tea", by="ada", json={"title": "Coffee"}, headers=ANY)
        assert "Coffee" in read(api, "/").text

    def test_is_filtered_by_language_tag_and_author(self, api: API):
        api.article(title="Tea", tags=["drink"])
        api.article(title="茶", slug="cha", language="zh", by="bob")
        assert "茶" not in read(api, "/?language=en").text
        assert "茶" in read(api, "/?language=zh").text
        assert "茶" not in read(api, "/tags/drink").text
        assert "Tea" not in read(api, "/authors/bob").text

    def test_has_pages_that_crawlers_reach_the_end_of(self, api: API):
        for number in range(21):
            api.article(title=f"Article {number}")
        first, second = read(api, "/").text, read(api, "/?page=2").text
        assert "Article 20" in first
        assert 'rel="next" href="/?page=2"' in first
        assert ">Article 0<" in second
        assert read(api, "/?page=3").status_code == 404

    def test_ignores_parameters_of_whoever_made_the_link(self, api: API):
        assert read(api, "/?utm_source=mail").data == read(api, "/").data

    def test_refuses_what_is_no_page_by_a_page(self, api: API):
        response = read(api, "/?page=x")
        assert response.status_code == 422
        assert response.mimetype == "text/html"

    def test_says_what_to_do_where_there_is_nothing(self, api: API):
        assert "flask article import" in read(api, "/").text


class TestSearch:
    def test_a_filter_with_quotes_is_a_value(self, api: API):
        response = read(api, "/search?q=tea&tag=%22+OR+language+%3D+%22en")
        assert response.status_code == 200

    @pytest.mark.parametrize("query", ["page=0", "page=x", "sort=nothing", "language=%00"])
    def test_nonsense_is_no_defect(self, api: API, query: str):
        assert read(api, f"/search?{query}").status_code < 500


class TestEncodings:
    def test_each_has_its_own_tag_and_says_what_it_depends_on(self, api: API):
        api.article(body="Leaves. " * 500)
        plain = read(api, "/articles/tea")
        small = read(api, "/articles/tea", Accept_Encoding="gzip")
        best = read(api, "/articles/tea", Accept_Encoding="gzip, deflate, br, zstd")
        assert gzip.decompress(small.data) == brotli.decompress(best.data) == plain.data
        assert len({each.headers["ETag"] for each in (plain, small, best)}) == 3
        assert {each.headers["Vary"] for each in (plain, small, best)} == {"Accept-Encoding"}
        assert [each.headers.get("Content-Encoding") for each in (plain, small, best)] == [
            None,
            "gzip",
            "br",
        ]

    @pytest.mark.parametrize(
        "accepted, encoding",
        [
            ("br;q=0, gzip", "gzip"),
            ("gzip;q=0, br;q=0", None),
            ("*", "br"),
            ("identity", None),
            ("gzip;q=1, br;q=0.5", "gzip"),
            ("br," * 200, None),
        ],
        ids=["no br", "none", "any", "identity", "preferred", "too long"],
    )
    def test_the_client_chooses(self, api: API, accepted: str, encoding: str | None):
        api.article()
        page = read(api, "/articles/tea", Accept_Encoding=accepted)
        assert page.headers.get("Content-Encoding") == encoding

    def test_a_304_is_of_the_encoding_that_the_client_has(self, api: API):
        api.article()
        best = read(api, "/articles/tea", Accept_Encoding="br")
        known = {"If_None_Match": best.headers["ETag"]}
        again = read(api, "/articles/tea", Accept_Encoding="br", **known)
        assert (again.status_code, again.data) == (304, b"")
        assert again.headers["Vary"] == "Accept-Encoding"
        assert again.headers["Content-Security-Policy"] == best.headers["Content-Security-Policy"]
        assert read(api, "/articles/tea", Accept_Encoding="gzip", **known).status_code == 200


class TestForPrograms:
    def test_the_feed_has_the_articles_with_absolute_addresses(self, api: API):
        api.article(title="Tea & more", tags=["drink"])
        feed = ET.fromstring(read(api, "/feed.xml").data)  # noqa: S314  our own
        (entry,) = feed.findall(f"{ATOM}entry")
        assert entry.findtext(f"{ATOM}title") == "Tea & more"
        assert (entry.findtext(f"{ATOM}id") or "").startswith(api.app.settings.address)
        assert read(api, "/feed.xml?tag=drink").text.count("<entry") == 1
        assert read(api, "/feed.xml?tag=other").text.count("<entry") == 0

    def test_the_sitemap_leads_to_each_article(self, api: API):
        api.article()
        index = read(api, "/sitemap.xml").text
        (part,) = re.findall(r"<loc>http://[^/]+(/[^<]+)</loc>", index)
        assert f"{api.app.settings.address}/articles/tea</loc>" in read(api, part).text
        assert read(api, "/sitemap/9.xml").status_code == 404

    def test_robots_are_told_where_it_is(self, api: API):
        assert f"Sitemap: {api.app.settings.address}/sitemap.xml" in read(api, "/robots.txt").text

    def test_the_icon_is_found_where_old_browsers_look(self, api: API):
        address = read(api, "/favicon.ico").headers["Location"]
        with read(api, address) as icon:
            assert icon.mimetype == "image/svg+xml"


def test_a_page_of_a_tag_leads_to_itself_whatever_signs_the_tag_has(api: API):
    api.article(tags=["c#", "a%2fb", "x?y=1&z"])
    for tag in ("c%23", "a%252fb", "x%3Fy%3D1%26z"):
        page = read(api, f"/tags/{tag}?language=en").text
        assert f'/tags/{tag}?language=en">' in page  # canonical
        addresses = re.findall(r'href="(?:http://[^/"]*)?(/tags[^"]*)"', page)
        assert addresses
        assert {read(api, html.unescape(each)).status_code for each in addresses} == {200}


def test_a_language_without_articles_is_an_empty_page_of_what_others_have(api: API):
    api.article(tags=["leaves"])
    for path in ("/tags/leaves", "/authors/ada"):
        page = read(api, f"{path}?language=zh")
        assert (page.status_code, page.headers["Content-Language"]) == (200, "zh")
    for path in ("/tags/none?language=zh", "/authors/nobody?language=zh", "/tags/none"):
        assert read(api, path).status_code == 404


def test_a_feed_is_xml_whatever_is_asked_and_written(api: API):
    api.article(title="Tea\ufffe\uffff", summary="Leaves\ufffe", tags=["leaves"])
    for query in ("", "?tag=%01", "?author=%EF%BF%BF", "?tag=%ED%A0%80"):
        feed = ET.fromstring(read(api, f"/feed.xml{query}").data)  # noqa: S314  our own
        assert feed.tag == f"{ATOM}feed"


def test_a_page_names_the_public_address_whatever_the_host(api: API):
    """A link of another host's must not get into a page that everybody gets."""
    api.article()
    page = api.app.test_client().get("/articles/tea", headers={"Host": "evil.example.com"})
    assert "evil" not in page.text
    assert f'rel="canonical" href="{api.app.settings.address}/articles/tea"' in page.text


def test_what_is_to_come_is_seen_at_its_moment_only(api: API):
    api.article()

    def postpone(session: Any) -> None:
        session.query(Article).one().published_at = utc_now() + timedelta(hours=1)

    api.database.transact(postpone)
    assert read(api, "/articles/tea").status_code == 404
    assert "Tea" not in read(api, "/").text
