"""Texts of one line: one set of rules behind every entrance."""

from __future__ import annotations

import re
from urllib.parse import quote

import pytest
from sqlalchemy import update

from app.article.front_matter import split_front_matter
from app.article.metadata import read_metadata
from app.article.model import Article, ArticleTag
from app.article.source import Refusal

UNSEEN = [
    *("\0", "\x1b", "\u202e", "\u200b", "\u200d", "\ufe0f", "\u2066", "\u00ad", "\ufeff", "\u2060"),
    *("\U000e0041", "\U000e0100", "\ue000", "\u3164"),
]
CONTROLS = ["\0", "\x1b", "\x7f", "\x9b", "\u202e", "\u2066", "\u202a"]


def create(api, **fields: object):
    return api.post("/articles", {"title": "t", "body": "b"} | fields, by="ada")


def problem(response) -> tuple[int, str]:
    return response.status_code, response.json["errors"][0]["type"]


@pytest.mark.parametrize("character", UNSEEN, ids=lambda it: f"U+{ord(it):04X}")
class TestUnseen:
    def test_is_refused_in_a_slug(self, api, character):
        assert create(api, slug=f"a{character}b").status_code == 422

    def test_is_refused_in_a_tag(self, api, character):
        assert problem(create(api, tags=[f"a{character}b"])) == (422, "invisible_character")

    def test_is_refused_in_front_matter(self, api, character):
        escaped = f"\\U{ord(character):08x}"
        with pytest.raises(Refusal, match="slug"):
            read_metadata(split_front_matter(f'---\nslug: "a{escaped}b"\n---\nx')[0])


@pytest.mark.speaks_sql
def test_a_slug_in_compatibility_forms_is_stored_in_plain_letters(api):
    assert create(api, slug="ｆｏｏ-ﬁ").json["slug"] == "foo-fi"
    metadata = read_metadata(split_front_matter("---\nslug: ｆｏｏ-ﬁ\n---\nx")[0])
    assert metadata.slug == "foo-fi"


class TestTag:
    @pytest.mark.parametrize("tag", [".", "..", "/", "a/", "/a", "a//b", "a/../b", "．．"])
    def test_has_no_parts_that_are_folders_in_an_address(self, api, tag):
        assert problem(create(api, tags=[tag])) == (422, "tag_of_folders")

    @pytest.mark.parametrize("tag", [".net", "c/c++", "...", "a/..b", "50%", "a?b#c"])
    def test_has_a_page(self, api, tag):
        api.article(tags=[tag])
        browser = api.app.test_client()
        links = re.findall(r'href="(/tags/[^"]+)"', browser.get("/tags").text)
        assert [browser.get(link).status_code for link in links] == [200]


class TestTitle:
    @pytest.mark.parametrize("character", CONTROLS, ids=lambda it: f"U+{ord(it):04X}")
    def test_has_no_controls(self, api, character):
        assert problem(create(api, title=f"a{character}b")) == (422, "invisible_character")
        escaped = f"\\U{ord(character):08x}"
        with pytest.raises(Refusal, match="title"):
            read_metadata(split_front_matter(f'---\ntitle: "a{escaped}b"\n---\nx')[0])

    @pytest.mark.parametrize(
        "title", ["👩‍💻 Dev", "❤️", "می‌خواهم", "🏴\U000e0067\U000e007f", "क्‍ष"]
    )
    @pytest.mark.speaks_sql
    def test_keeps_what_emoji_and_scripts_are_joined_by(self, api, title):
        response = create(api, title=title)
        assert (response.status_code, response.json["title"]) == (201, title)

    @pytest.mark.parametrize("title", ["\u200b", "\u200d\ufe0f", "\u3164", "\u2800"])
    def test_is_something_to_be_seen(self, api, title):
        assert problem(create(api, title=title)) == (422, "invisible_character")

    def test_that_is_one_sign_gets_another_slug(self, api):
        assert create(api, title="❤️").json["slug"] == "article"
        assert create(api, title="⚙️ Setup").json["slug"] == "setup"

    def test_made_from_a_heading_has_no_controls(self, api):
        response = create(api, body="# A\x1bB\n\nC\u202eD", summary=None)
        assert response.json["summary"] == "CD"


def test_the_refusal_names_the_character_in_the_language_asked_for(api):
    response = api.post(
        "/articles",
        {"title": "a\u202eb", "body": "b"},
        by="ada",
        headers={"Accept-Language": "zh"},
    )
    assert response.json["errors"][0]["message"] == "请去掉看不见的字符 U+202E"


@pytest.mark.speaks_sql
def test_what_is_stored_from_before_is_still_read_and_found(api):
    """Slugs and tags of earlier releases may hold what is refused today."""
    api.article(tags=["tea"])
    old = "tea\ufe0f"
    api.database.transact(lambda session: session.execute(update(Article).values(slug=old)))
    api.database.transact(lambda session: session.execute(update(ArticleTag).values(name=old)))
    response = api.call("GET", f"/articles/{quote(old)}")
    assert (response.status_code, response.json["tags"]) == (200, [old])
    assert api.call("GET", f"/articles?tag={quote(old)}").json["total"] == 1
