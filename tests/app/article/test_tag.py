"""What tags carry and count."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update

from app.article.model import Article, ArticleTag, Tag, TagChange
from app.article.tag import TagCounts, top_tags
from app.article.view_count import ViewCounter
from strongback.database import utc_now
from tests.support.api import API

pytestmark = pytest.mark.speaks_sql

CARRIED = ("language", "author", "listed", "published_at", "updated_at", "views")


def carried(api: API) -> set[tuple[str, bool]]:
    """The tags, and whether each carries what its article has."""
    same = [
        getattr(ArticleTag, name).is_not_distinct_from(getattr(Article, name)) for name in CARRIED
    ]
    with api.database.scope():
        rows = api.database.session.execute(
            select(ArticleTag.name, *same).join(Article, Article.id == ArticleTag.article_id)
        )
        return {(row[0], all(row[1:])) for row in rows}


def most_used(api: API) -> list[str]:
    with api.database.scope():
        return [name for name, _ in top_tags(api.database.session, 10)]


def counts(api: API) -> dict[str, int]:
    """What is kept of each tag, everything added up."""
    TagCounts(api.database).add_up()
    with api.database.scope():
        return {row.name: row.articles for row in api.database.session.scalars(select(Tag))}


def change(api: API, **fields: Any) -> None:
    response = api.call("PATCH", "/articles/tea", by="ada", json=fields, headers={"If-Match": "*"})
    assert response.status_code == 200


class TestCopies:
    def test_are_those_of_a_new_article(self, api):
        api.article(tags=["a", "b"])
        assert carried(api) == {("a", True), ("b", True)}

    def test_follow_each_change(self, api):
        api.article(tags=["a", "b"])
        for fields in ({"title": "x"}, {"language": "zh"}, {"tags": ["b", "c"]}):
            change(api, **fields)
            assert {is_same for _, is_same in carried(api)} == {True}

    def test_follow_a_draft_that_comes_out(self, api):
        api.article(tags=["a"], published=False)
        assert carried(api) == {("a", True)}
        change(api, published=True)
        assert carried(api) == {("a", True)}

    def test_follow_the_views(self, api):
        api.article(tags=["a"])
        api.call("GET", "/articles/tea")
        views = api.app.services[ViewCounter]
        views.save()
        views.add_up()
        assert carried(api) == {("a", True)}
        with api.database.scope():
            assert api.database.session.scalar(select(ArticleTag.views)) == 1


class TestCounts:
    def test_are_right_before_and_after_they_are_added_up(self, api):
        api.article(slug="tea", tags=["b", "c"])
        api.article(slug="milk", tags=["c", "a"])
        assert most_used(api) == ["c", "a", "b"]
        assert counts(api) == {"a": 1, "b": 1, "c": 2}
        assert most_used(api) == ["c", "a", "b"]

    def test_follow_changes_of_tags(self, api):
        api.article(tags=["a", "b"])
        change(api, tags=["b", "c"])
        assert counts(api) == {"b": 1, "c": 1}

    def test_of_a_draft_are_none_until_it_comes_out(self, api):
        api.article(tags=["a"], published=False)
        assert (most_used(api), counts(api)) == ([], {})
        change(api, published=True)
        assert (most_used(api), counts(api)) == (["a"], {"a": 1})
        change(api, published=False)
        assert (most_used(api), counts(api)) == ([], {})

    def test_of_what_lies_ahead_begin_with_its_moment(self, api):
        api.article(tags=["a"])
        later = utc_now() + timedelta(days=1)

        def postpone(session: Any) -> None:
            session.scalars(select(Article)).one().published_at = later

        api.database.transact(postpone)
        assert (most_used(api), counts(api)) == ([], {})
        api.database.transact(
            lambda session: session.execute(update(TagChange).values(due_at=utc_now()))
        )
        assert (most_used(api), counts(api)) == (["a"], {"a": 1})

    def test_of_a_deleted_article_are_taken_back(self, api):
        api.article(tags=["a"])
        api.call("DELETE", "/articles/tea", by="ada", headers={"If-Match": "*"})
        assert (most_used(api), counts(api)) == ([], {})

    def test_leave_nothing_to_be_added_up(self, api):
        api.article(tags=["a", "b"])
        counts(api)
        with api.database.scope():
            assert api.database.session.scalar(select(func.count()).select_from(TagChange)) == 0

    def test_of_a_refused_write_are_unchanged(self, api):
        api.article(tags=["a"])
        response = api.post(
            "/articles",
            {"title": "T", "body": "b", "slug": "tea", "tags": ["z"], "published": True},
            by="ada",
        )
        assert response.status_code == 409
        assert counts(api) == {"a": 1}


def test_one_answer_is_kept_for_every_limit(api):
    api.article(tags=["a", "b", "c"])
    first = api.call("GET", "/tags?limit=2").get_json()
    api.article(slug="other", tags=["z", "b"])
    assert first == {"items": ["a", "b"]}
    assert api.call("GET", "/tags?limit=100").get_json() == {"items": ["a", "b", "c"]}
