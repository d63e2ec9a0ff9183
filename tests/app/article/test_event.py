from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.article.content import Draft
from app.article.service import ArticleService
from strongback.database import utc_now
from strongback.outbox import Outbox, OutboxMessage
from tests.support.api import API
from tests.support.work import messages

pytestmark = pytest.mark.speaks_sql


@pytest.fixture
def listening(own_api: API) -> API:
    """The application with a consumer of each of the two events."""
    outbox: Outbox = own_api.app.services[Outbox]
    outbox.subscribe("article:changed", "test:changed")
    outbox.subscribe("article:published", "test:published")
    return own_api


def heard(api: API, event: str) -> list[OutboxMessage]:
    return messages(api.app, f"test:{event}")


def due(message: OutboxMessage) -> datetime:
    assert message.available_at is not None
    return message.available_at


def patch(api: API, **change: Any) -> None:
    response = api.call("PATCH", "/articles/tea", by="ada", json=change, headers={"If-Match": "*"})
    assert response.status_code == 200


def put(api: API, **facts: Any) -> int:
    values: dict[str, Any] = {"slug": "tea", "body": "Leaves.", "language": "en", "author": "ada"}
    articles: ArticleService = api.app.services[ArticleService]
    with api.database.scope():
        return articles.put(Draft(**values | facts)).id


class TestChanged:
    def test_is_told_of_every_write_of_an_article_in_its_order(self, listening):
        number = listening.article(published=False)["id"]
        patch(listening, title="Green Tea")
        patch(listening, published=True)
        listening.call("DELETE", "/articles/tea", by="ada", headers={"If-Match": "*"})
        found = heard(listening, "changed")
        assert [message.payload for message in found] == [{"article_id": number}] * 4
        assert {message.key for message in found} == {f"article:{number}"}

    def test_is_not_told_of_what_was_refused(self, listening):
        listening.article()
        stale = {"If-Match": '"1-9-0-0"'}
        for method in ("PATCH", "DELETE"):
            listening.call(method, "/articles/tea", by="ada", json={"title": "x"}, headers=stale)
        listening.post("/articles", {"title": "T", "body": "b", "slug": "tea"}, by="ada")
        assert len(heard(listening, "changed")) == 1

    def test_is_not_told_of_a_change_of_nothing(self, listening):
        listening.article()
        patch(listening)
        put(listening, title="Tea")
        assert len(heard(listening, "changed")) == 1

    def test_of_likes_comments_and_reads_is_not_told(self, listening):
        listening.article()
        listening.call("PUT", "/articles/tea/like", by="eve")
        listening.post("/articles/tea/comments", {"body": "b"}, by="eve")
        listening.call("GET", "/articles/tea")
        assert len(heard(listening, "changed")) == 1

    def test_is_told_of_what_an_import_writes(self, listening):
        put(listening)
        put(listening, body="More leaves.")
        assert len(heard(listening, "changed")) == 2

    def test_is_told_once_more_when_an_article_appears_by_itself(self, listening):
        number = put(listening, published_at=utc_now() + timedelta(days=1))
        at_once, later = heard(listening, "changed")
        assert (at_once.key, later.key) == (f"article:{number}", None)
        assert due(at_once) <= utc_now() < due(later) - timedelta(hours=23)


class TestPublished:
    def test_is_told_when_an_article_comes_out(self, listening):
        number = listening.article(published=False)["id"]
        assert heard(listening, "published") == []
        patch(listening, published=True)
        (message,) = heard(listening, "published")
        assert (message.payload, message.key) == ({"article_id": number}, None)

    def test_is_told_of_an_article_that_is_written_to_be_out(self, listening):
        listening.article()
        assert len(heard(listening, "published")) == 1

    def test_is_not_told_of_a_change(self, listening):
        listening.article()
        patch(listening, title="x", published=True)
        assert len(heard(listening, "published")) == 1

    def test_is_told_again_of_what_was_withdrawn(self, listening):
        listening.article()
        patch(listening, published=False)
        patch(listening, published=True)
        assert len(heard(listening, "published")) == 2

    @pytest.mark.parametrize("moment", [None, datetime(2026, 1, 1, tzinfo=UTC)])
    def test_is_not_told_of_what_an_import_brings_in(self, listening, moment):
        put(listening, published_at=moment)
        put(listening, published_at=datetime(2025, 1, 1, tzinfo=UTC))
        assert heard(listening, "published") == []

    def test_is_told_when_the_moment_of_an_import_comes(self, listening):
        moment = utc_now() + timedelta(days=400)
        put(listening, published_at=moment)
        (message,) = heard(listening, "published")
        assert abs(due(message) - moment) < timedelta(seconds=5)

    def test_is_told_for_each_moment_that_was_planned(self, listening):
        """The earlier message finds that the article is not out yet."""
        now = utc_now().replace(microsecond=0)
        for days in (1, 2, 2):
            put(listening, published_at=now + timedelta(days=days))
        assert len(heard(listening, "published")) == 2
