"""The kinds that the slices declare, from the deed to the list of whoever is told."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from app.article import event
from app.article.service import ArticleService
from strongback.notification import Kinds
from strongback.outbox import OutboxMessage
from strongback.web.translation import DEFAULT_LOCALE
from tests.support.api import API
from tests.support.catalogue import placeholders
from tests.support.work import make_due, messages, work

pytestmark = pytest.mark.speaks_sql


def comment(api: API, by: str, **fields: object) -> dict[str, Any]:
    response = api.post("/articles/tea/comments", {"body": "b"} | fields, by=by)
    assert response.status_code == 201, response.json
    return dict(response.json)


def texts(api: API, by: str, locale: str = "en") -> list[str]:
    """What the list of an account says, latest first."""
    work(api.app)
    headers = {"Accept-Language": locale}
    answer: Any = api.call("GET", "/notifications", by=by, headers=headers).json
    return [item["text"] for item in answer["items"]]


class TestComment:
    @pytest.fixture(autouse=True)
    def _article(self, api: API) -> None:
        api.article()
        work(api.app)

    def test_tells_the_author_of_the_article(self, api):
        written = comment(api, "eve")
        assert texts(api, "ada") == ["eve commented on “Tea”."]
        (item,) = api.call("GET", "/notifications", by="ada").json["items"]
        assert item["subject"] == f"comment:{written['id']}"
        assert item["data"] == {"slug": "tea", "title": "Tea", "comment_id": written["id"]}

    def test_is_told_in_the_readers_language(self, api):
        comment(api, "eve")
        assert texts(api, "ada", "zh-CN") == ["eve 评论了《Tea》。"]

    def test_tells_nobody_of_an_own_comment(self, api):
        comment(api, "ada")
        assert texts(api, "ada") == []

    def test_reply_tells_whoever_is_replied_to_and_the_author(self, api):
        first = comment(api, "eve")
        reply = comment(api, "bob", reply_to=first["id"])
        assert reply["reply_to"] == first["id"]
        assert texts(api, "eve") == ["bob replied to your comment on “Tea”."]
        assert texts(api, "ada") == ["bob commented on “Tea”.", "eve commented on “Tea”."]

    def test_reply_to_the_author_tells_the_author_once(self, api):
        first = comment(api, "ada")
        comment(api, "eve", reply_to=first["id"])
        assert texts(api, "ada") == ["eve replied to your comment on “Tea”."]

    def test_reply_to_oneself_tells_the_author_alone(self, api):
        comment(api, "eve", reply_to=comment(api, "eve")["id"])
        assert texts(api, "eve") == []
        assert texts(api, "ada") == ["eve commented on “Tea”."] * 2

    def test_reply_stays_when_the_comment_is_deleted(self, api):
        first = comment(api, "eve")
        reply = comment(api, "bob", reply_to=first["id"])
        api.call("DELETE", f"/comments/{first['id']}", by="eve")
        assert api.call("GET", f"/comments/{reply['id']}").json == reply

    def test_reply_to_nothing_or_below_another_article_is_refused(self, api):
        api.article(title="Coffee", slug="coffee")
        other = api.post("/articles/coffee/comments", {"body": "b"}, by="eve").json["id"]
        for number in (other, 999_999):
            body = {"body": "b", "reply_to": number}
            response = api.post("/articles/tea/comments", body, by="bob")
            assert response.status_code == 422
            assert response.json["errors"][0]["field"] == "body.reply_to"
        assert api.call("GET", "/articles/tea").json["comments"] == 0


def like(api: API, *names: str) -> None:
    for name in names:
        assert api.call("PUT", "/articles/tea/like", by=name).status_code == 204


def waiting(api: API) -> list[OutboxMessage]:
    return messages(api.app, "article:tell-likes")


class TestLikes:
    @pytest.fixture(autouse=True)
    def _article(self, api: API) -> None:
        api.article()
        work(api.app)

    def test_are_gathered_for_an_hour(self, api):
        like(api, "eve", "bob", "admin")
        (message,) = waiting(api)
        assert message.available_at is not None
        assert message.available_at - message.created_at > event.GATHERED * 0.99
        assert texts(api, "ada") == []
        make_due(api.app)
        assert texts(api, "ada") == ["3 people like “Tea”."]

    def test_next_ones_are_told_an_hour_later(self, api):
        like(api, "eve", "bob")
        make_due(api.app)
        assert texts(api, "ada") == ["2 people like “Tea”."]
        like(api, "admin")
        assert len(waiting(api)) == 1
        make_due(api.app)
        assert texts(api, "ada") == ["admin likes “Tea”.", "2 people like “Tea”."]

    def test_one_that_is_taken_back_and_an_own_one_are_not_told(self, api):
        like(api, "ada", "eve")
        api.call("DELETE", "/articles/tea/like", by="eve")
        make_due(api.app)
        assert texts(api, "ada") == []

    def test_of_an_article_that_is_gone_are_not_told(self, api):
        like(api, "eve")
        api.call("DELETE", "/articles/tea", by="ada", headers={"If-Match": "*"})
        make_due(api.app)
        assert (texts(api, "ada"), waiting(api)) == ([], [])

    def test_are_told_once_by_a_message_that_is_delivered_twice(self, api):
        like(api, "eve")
        payload = waiting(api)[0].payload
        make_due(api.app)
        work(api.app)
        articles: ArticleService = api.app.services[ArticleService]
        with api.database.scope():
            since = datetime.fromisoformat(payload["since"])
            articles.tell_likes(payload["article_id"], since)
        assert texts(api, "ada") == ["eve likes “Tea”."]


def test_every_text_has_a_translation_with_the_same_placeholders(api):
    kinds: Kinds = api.app.services[Kinds]
    translations = api.app.translations
    assert len(list(kinds)) >= 7
    for kind in kinds:
        texts = (kind.about, kind.text, *kind.variants.values(), kind.subject, kind.body)
        for locale in set(translations.locales) - {DEFAULT_LOCALE}:
            for text in filter(None, texts):
                translated = translations.translate(text, locale)
                assert translated != text, (kind.name, locale)
                assert placeholders(translated) == placeholders(text)
