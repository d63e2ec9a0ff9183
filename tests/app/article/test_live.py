"""What readers of an article see without asking."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.api import API, TrustingAuthenticator
from tests.support.live import grant, published
from tests.support.work import work


@pytest.fixture
def channel(api: API) -> str:
    return f"article:{api.article()['id']}"


def comment(api: API, body: str = "Fine.") -> Any:
    return api.post("/articles/tea/comments", {"body": body}, by="eve").json


def test_whoever_subscribes_gets_the_counters(api, channel):
    comment(api)
    principal = TrustingAuthenticator()("Bearer bob")
    found = grant(api.app, principal, channel)
    assert found is not None
    assert found.data == {"type": "counters", "likes": 0, "comments": 1}


@pytest.mark.parametrize("name", ["article:999", "article:tea", f"article:{'9' * 30}"])
def test_there_is_none_of_an_article_that_is_not_there(api, channel, name):
    assert grant(api.app, TrustingAuthenticator()("Bearer bob"), name) is None


def test_a_draft_has_none(api):
    draft = api.article(published=False)
    principal = TrustingAuthenticator()("Bearer ada")
    assert grant(api.app, principal, f"article:{draft['id']}") is None


def test_likes_are_counted(api, channel):
    for by in ("eve", "bob", "bob"):
        api.call("PUT", "/articles/tea/like", by=by)
    api.call("DELETE", "/articles/tea/like", by="eve")
    work(api.app)
    assert [each["likes"] for each in published(api.app, channel)] == [1, 2, 1]


def test_comments_come_as_a_whole_and_go(api, channel):
    written = comment(api)
    work(api.app)
    api.call("DELETE", f"/comments/{written['id']}", by="eve")
    work(api.app)
    assert published(api.app, channel) == [
        {"type": "counters", "likes": 0, "comments": 1},
        {"type": "comment", "comment": written},
        {"type": "counters", "likes": 0, "comments": 0},
        {"type": "comment:deleted", "id": written["id"]},
    ]


def test_a_long_comment_comes_without_its_text(api, channel):
    written = comment(api, "長" * 5000)
    work(api.app)
    assert published(api.app, channel)[-1]["comment"] == written | {"body": None}


def test_a_comment_that_is_refused_tells_nothing(api, channel):
    assert api.post("/articles/tea/comments", {"body": ""}, by="eve").status_code == 422
    work(api.app)
    assert published(api.app, channel) == []
