from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from app.article.content import Draft
from app.article.model import Article
from app.article.service import ArticleService
from app.notification import service
from app.notification.service import Announcements
from app.user.model import Follow, User
from strongback.database import utc_now
from strongback.notification.notification_model import Notification
from strongback.outbox import OutboxMessage
from tests.support.api import API
from tests.support.work import make_due, messages, work

pytestmark = pytest.mark.speaks_sql

OURS = ("notification:announce", "notification:continue")


def follow(api: API, follower: str, followed: str = "ada") -> None:
    assert api.call("PUT", f"/users/{followed}/follow", by=follower).status_code == 204


def told(api: API) -> list[tuple[str, str]]:
    """Who was told of which article, in the order of their names."""
    with api.database.scope():
        query = select(User.username, Notification.data)
        query = query.join(Notification, Notification.recipient == User.id)
        rows = api.database.session.execute(query.where(Notification.kind == "article:published"))
        return sorted((row.username, row.data["slug"]) for row in rows)


def announce(api: API) -> list[str]:
    """Run everything that is due; returns what of it was ours."""
    return [name for name in work(api.app) if name in OURS]


def announcements(api: API) -> list[OutboxMessage]:
    """What the outbox has for us."""
    return [each for each in messages(api.app) if each.consumer in OURS]


def publish(api: API, slug: str, *, published: bool = True, by: str = "ada") -> None:
    response = api.call(
        "PATCH",
        f"/articles/{slug}",
        by=by,
        json={"published": published},
        headers={"If-Match": "*"},
    )
    assert response.status_code == 200


class TestPublished:
    def test_tells_the_followers_of_the_author(self, api):
        follow(api, "eve")
        follow(api, "bob", "admin")
        api.article(title="Green Tea")
        work(api.app)
        assert told(api) == [("eve", "green-tea")]

    def test_says_what_the_list_shows(self, api):
        follow(api, "eve")
        article = api.article(title="Green Tea")
        work(api.app)
        (item,) = api.call("GET", "/notifications", by="eve").json["items"]
        assert item | {"id": 0, "created_at": ""} == {
            "id": 0,
            "kind": "article:published",
            "actor": "ada",
            "subject": f"article:{article['id']}",
            "data": {"slug": "green-tea", "title": "Green Tea"},
            "text": "ada published “Green Tea”.",
            "created_at": "",
            "read_at": None,
        }

    def test_tells_a_draft_once_it_is_published(self, api):
        follow(api, "eve")
        api.article(published=False)
        work(api.app)
        assert told(api) == []
        publish(api, "tea")
        work(api.app)
        assert told(api) == [("eve", "tea")]

    def test_tells_whoever_has_commented_an_article_that_comes_out_again(self, api):
        api.article()
        for name in ("eve", "bob", "eve", "ada"):
            api.post("/articles/tea/comments", {"body": "b"}, by=name)
        publish(api, "tea", published=False)
        publish(api, "tea")
        work(api.app)
        assert told(api) == [("bob", "tea"), ("eve", "tea")]

    def test_tells_nobody_twice(self, api):
        """Who follows and has commented, and hears of an article that comes out again."""
        follow(api, "eve")
        api.article()
        work(api.app)
        api.post("/articles/tea/comments", {"body": "b"}, by="eve")
        for published in (False, True, False, True):
            publish(api, "tea", published=published)
            work(api.app)
        assert told(api) == [("eve", "tea")]

    def test_is_not_told_of_what_was_withdrawn_meanwhile(self, api):
        follow(api, "eve")
        api.article()
        publish(api, "tea", published=False)
        work(api.app)
        assert told(api) == []

    def test_is_not_told_of_what_was_deleted_meanwhile(self, api):
        follow(api, "eve")
        api.article()
        api.call("DELETE", "/articles/tea", by="ada", headers={"If-Match": "*"})
        work(api.app)
        assert (told(api), announcements(api)) == ([], [])

    def test_changes_of_a_published_article_are_no_news(self, api):
        follow(api, "eve")
        api.article()
        work(api.app)
        api.call("PATCH", "/articles/tea", by="ada", json={"title": "x"}, headers={"If-Match": "*"})
        assert announcements(api) == []

    def test_refused_change_tells_nobody(self, api):
        follow(api, "eve")
        api.article(title="Coffee")
        work(api.app)
        response = api.post(
            "/articles", {"title": "x", "body": "b", "slug": "coffee", "published": True}, by="ada"
        )
        assert (response.status_code, announcements(api)) == (409, [])


class TestAhead:
    """An article whose moment lies ahead, as an import may bring one in."""

    @pytest.fixture
    def later(self, api):
        follow(api, "eve")
        self.put(api, published_at=utc_now() + timedelta(days=1))

    def put(self, api: API, **facts: Any) -> None:
        articles: ArticleService = api.app.services[ArticleService]
        values: dict[str, Any] = {
            "slug": "tea",
            "body": "Leaves.",
            "language": "en",
            "author": "ada",
        }
        with api.database.scope():
            articles.put(Draft(**values | facts))

    def arrive(self, api: API) -> None:
        """Let its moment come."""
        query = update(Article).values(published_at=utc_now())
        api.database.transact(lambda session: session.execute(query))
        make_due(api.app)
        work(api.app)

    def test_is_told_when_it_has_come(self, api, later):
        assert (announce(api), told(api)) == ([], [])
        self.arrive(api)
        assert told(api) == [("eve", "tea")]

    def test_is_not_told_before_it_has_come_by_the_clock_of_the_worker(self, api, later):
        make_due(api.app)
        assert (announce(api), told(api)) == (["notification:announce"], [])
        (message,) = announcements(api)
        assert message.available_at is not None
        assert message.available_at > utc_now() + timedelta(hours=23)
        self.arrive(api)
        assert told(api) == [("eve", "tea")]

    def test_is_told_at_once_if_it_is_published_by_hand(self, api, later):
        """What waits for tomorrow does not hold it up."""
        publish(api, "tea")
        work(api.app)
        assert told(api) == [("eve", "tea")]
        self.arrive(api)
        assert (told(api), announcements(api)) == ([("eve", "tea")], [])

    def test_is_told_once_if_it_was_postponed(self, api, later):
        self.put(api, published_at=utc_now() + timedelta(days=2))
        self.arrive(api)
        assert told(api) == [("eve", "tea")]

    def test_is_not_told_if_it_was_made_a_draft(self, api, later):
        publish(api, "tea", published=False)
        make_due(api.app)
        work(api.app)
        assert (told(api), announcements(api)) == ([], [])

    def test_what_an_import_brings_in_with_an_earlier_moment_is_no_news(self, api):
        follow(api, "eve")
        self.put(api, published_at=datetime(2026, 1, 1, tzinfo=UTC))
        self.put(api, slug="coffee")
        assert announcements(api) == []


def followers(api: API, count: int) -> list[str]:
    """Readers who follow ada; returns their names."""
    names = [f"reader-{number:04}" for number in range(count)]
    rows: list[Any] = [User(username=name, password_hash=None, roles=[]) for name in names]
    api.database.transact(lambda session: session.add_all(rows))
    follows = [Follow(followed="ada", follower=name) for name in names]
    api.database.transact(lambda session: session.add_all(follows))
    return names


class TestLargeAudience:
    def test_is_told_in_parts_each_in_a_transaction(self, api, is_long, monkeypatch):
        if not is_long:
            monkeypatch.setattr(service, "BATCH", 50)
        names = followers(api, 2 * service.BATCH + 1)
        api.article()
        parts = announce(api)
        assert parts == ["notification:announce", *["notification:continue"] * 2]
        assert told(api) == [(name, "tea") for name in names]

    def test_those_who_also_comment_are_told_once(self, api):
        names = followers(api, 10)
        for name in ("eve", "bob"):
            follow(api, name)
        api.article()
        for name in ("eve", "bob"):
            api.post("/articles/tea/comments", {"body": "b"}, by=name)
        work(api.app)
        assert told(api) == [(name, "tea") for name in sorted([*names, "bob", "eve"])]

    def test_part_that_fails_is_made_good(self, api):
        """Half of a part cannot be told: rows that are there already are passed over."""
        names = followers(api, 20)
        number = api.article()["id"]
        announcements: Announcements = api.app.services[Announcements]
        with api.database.scope():
            announcements.announce(number, "reader-0010")
        work(api.app)
        assert told(api) == [(name, "tea") for name in names]
