from __future__ import annotations

from collections import Counter
from functools import partial
from typing import Any

import pytest
from sqlalchemy import func, select

from app.comment.model import Comment
from tests.support.api import ACCOUNTS, API
from tests.support.thread import run_together

pytestmark = pytest.mark.speaks_sql


@pytest.fixture(autouse=True)
def _article(api) -> None:
    api.article()


def add(api: API, by: str = "eve", body: object = "Fine.") -> Any:
    return api.post("/articles/tea/comments", {"body": body}, by=by)


def counts(api: API) -> tuple[int, int]:
    """The article's counter, and how many comments there are."""
    with api.database.scope():
        rows = api.database.session.scalar(select(func.count()).select_from(Comment)) or 0
    article: Any = api.call("GET", "/articles/tea").json
    return article["comments"], rows


class TestCreate:
    def test_answers_201_with_its_address(self, api):
        response = add(api)
        assert response.status_code == 201
        comment = response.json
        assert (comment["author"], comment["body"]) == ("eve", "Fine.")
        assert response.headers["Location"] == f"/api/v1/comments/{comment['id']}"
        assert api.call("GET", f"/comments/{comment['id']}").json == comment
        assert counts(api) == (1, 1)

    @pytest.mark.parametrize("body", ["", "  \n", "x" * 5001, None, 1])
    def test_wrong_body_is_422(self, api, body):
        assert add(api, body=body).status_code == 422
        assert counts(api) == (0, 0)

    @pytest.mark.parametrize("field", ["author", "id", "article_id", "created_at"])
    def test_what_is_not_writable_is_refused(self, api, field):
        body = {"body": "b", field: 1}
        assert api.post("/articles/tea/comments", body, by="eve").status_code == 422

    def test_below_nothing_is_404(self, api):
        assert api.post("/articles/none/comments", {"body": "b"}, by="eve").status_code == 404


class TestDelete:
    @pytest.mark.parametrize("by, status", [("eve", 204), ("admin", 204), ("ada", 403)])
    def test_is_for_its_owner_and_managers(self, api, by, status):
        """The article's author does not own what others say below it."""
        path = f"/comments/{add(api).json['id']}"
        assert api.call("DELETE", path, by=by).status_code == status
        assert counts(api) == ((1, 1) if status == 403 else (0, 0))

    def test_twice_is_404_and_counts_once(self, api):
        path = f"/comments/{add(api).json['id']}"
        add(api)
        statuses = [api.call("DELETE", path, by="eve").status_code for _ in range(2)]
        assert statuses == [204, 404]
        assert counts(api) == (1, 1)

    @pytest.mark.parametrize("number, status", [(0, 422), (2**63, 422), ("x", 422), (999999, 404)])
    def test_of_nothing(self, api, number, status):
        assert api.call("DELETE", f"/comments/{number}", by="eve").status_code == status
        assert api.call("GET", f"/comments/{number}").status_code == status

    def test_below_a_draft_is_hidden_and_can_still_be_deleted(self, api):
        path = f"/comments/{add(api).json['id']}"
        api.call(
            "PATCH", "/articles/tea", by="ada", json={"published": False}, headers={"If-Match": "*"}
        )
        assert api.call("GET", path).status_code == 404
        assert api.call("DELETE", path, by="eve").status_code == 204


class TestConcurrency:
    def test_counter_is_right(self, api):
        """Eight threads comment and take back every second one: two of each account."""

        def chatter(name: str) -> None:
            for number in range(6):
                comment = add(api, name).json
                if number % 2:
                    api.call("DELETE", f"/comments/{comment['id']}", by=name)

        run_together(*[partial(chatter, name) for name in ACCOUNTS] * 2)
        assert counts(api) == (24, 24)

    def test_one_of_many_deletes_the_comment(self, api):
        path = f"/comments/{add(api).json['id']}"
        delete = partial(api.call, "DELETE", path, by="eve")
        statuses = Counter(it.status_code for it in run_together(*[delete] * 10))
        assert statuses == {204: 1, 404: 9}
        assert counts(api) == (0, 0)
