from __future__ import annotations

import os
import signal
from itertools import product

import pytest
from sqlalchemy import event, func, insert, select, update

from app.article import removal
from app.article.index import ARTICLE
from app.article.model import Article, ArticleLike, ArticleTag, Tag
from app.article.removal import ArticleRemoval
from app.article.tag import TagCounts
from app.comment.model import Comment
from app.user.model import User
from strongback.search import Query, Search
from tests.support.api import API
from tests.support.process import long_only
from tests.support.work import messages, work

pytestmark = pytest.mark.speaks_sql

MANY = 620
"""Comments, and likes, that take two batches each."""
LEFT = (Article, ArticleTag, ArticleLike, Comment)


@pytest.fixture
def loved(api: API) -> API:
    add_loved(api)
    return api


def add_loved(api: API) -> None:
    """An article that has too many comments and likes for one transaction, and one beside it."""
    tea, milk = (api.article(title=title, tags=["drink"])["id"] for title in ("Tea", "Milk"))
    work(api.app)  # before anybody has commented, whom the tasks would tell of it
    fill(api, tea, MANY)
    fill(api, milk, 3)


def fill(api: API, article_id: int, many: int) -> None:
    names = [f"reader-{number}" for number in range(many)]

    def write(session):
        known = set(session.scalars(select(User.username).where(User.username.in_(names))))
        new = [{"username": name, "roles": []} for name in names if name not in known]
        if new:
            session.execute(insert(User), new)
        rows = [{"article_id": article_id, "username": name} for name in names]
        session.execute(insert(ArticleLike), rows)
        rows = [{"article_id": article_id, "author": name, "body": "Hm."} for name in names]
        session.execute(insert(Comment), rows)
        counters = {"likes": many, "comments": many}
        session.execute(update(Article).where(Article.id == article_id).values(counters))

    api.database.transact(write)


def delete(api: API) -> None:
    response = api.call("DELETE", "/articles/tea", by="ada", headers={"If-Match": "*"})
    assert response.status_code == 204


def counts(api: API) -> list[int]:
    with api.database.scope():
        queries = [select(func.count()).select_from(model) for model in LEFT]
        return [api.database.session.scalar(query) or 0 for query in queries]


def deletions(api: API) -> list[int]:
    """How many rows of comments and likes each transaction deletes."""
    found = [0]

    def add(**given):
        if given["statement"].startswith("DELETE"):
            found[-1] += given["cursor"].rowcount

    event.listen(api.database.engine, "after_cursor_execute", add, named=True)
    event.listen(api.database.engine, "commit", lambda _: found.append(0))
    return found


class TestAnArticleWithManyComments:
    def test_is_gone_for_readers_at_once(self, loved):
        for path in ("", "/comments"):  # both are in the cache now
            assert loved.call("GET", f"/articles/tea{path}").status_code == 200
        for query in ("", "?tag=drink", "?author=ada", "?cursor="):
            assert len(loved.call("GET", f"/articles{query}").json["items"]) == 2
        delete(loved)
        for path in ("", "/comments"):
            assert loved.call("GET", f"/articles/tea{path}").status_code == 404
        for query in ("", "?tag=drink", "?author=ada", "?cursor="):
            items = loved.call("GET", f"/articles{query}").json["items"]
            assert [item["slug"] for item in items] == ["milk"]

    def test_is_not_found_by_who_may_see_drafts(self, loved):
        number, always = loved.call("GET", "/articles/tea").json["id"], {"If-Match": "*"}
        delete(loved)
        for by, name in product(("ada", "admin"), ("tea", f"/{number}", f"%2F{number}")):
            path = f"/articles/{name}"
            assert loved.call("GET", path, by=by).status_code in {404, 422}, (by, name)
            change = loved.call("PATCH", path, by=by, headers=always, json={"title": "x"})
            assert change.status_code in {404, 422}, (by, name)
            gone = loved.call("DELETE", path, by=by, headers=always)
            assert gone.status_code in {404, 422}, (by, name)

    def test_leaves_the_search_index_and_the_counts_of_tags(self, own_api):
        add_loved(own_api)
        delete(own_api)
        work(own_api.app)
        found = own_api.app.services[Search].find(ARTICLE, Query(text="tea"))
        assert [hit.document["slug"] for hit in found.hits] == []
        own_api.app.services[TagCounts].add_up()
        with own_api.database.scope():
            rows = own_api.database.session.execute(select(Tag.name, Tag.articles)).all()
        assert [tuple(row) for row in rows] == [("drink", 1)]

    def test_leaves_its_slug_to_another_one(self, loved):
        delete(loved)
        assert loved.article(slug="tea")["comments"] == 0
        work(loved.app)
        assert loved.call("GET", "/articles/tea").status_code == 200

    def test_is_deleted_with_all_that_belongs_to_it_and_nothing_else(self, loved):
        delete(loved)
        work(loved.app)
        assert counts(loved) == [1, 1, 3, 3]
        assert messages(loved.app) == []

    def test_is_never_deleted_by_a_transaction_of_more_than_a_batch(self, loved):
        deleted = deletions(loved)
        delete(loved)
        work(loved.app)
        assert sum(deleted) >= 2 * MANY
        assert max(deleted) <= removal.MOST_AT_ONCE

    @pytest.mark.parametrize("commits", [1, 4, *long_only(2, 3)])
    @pytest.mark.usefixtures("starts_processes")
    def test_is_deleted_to_the_end_after_a_kill_on_the_way(self, loved, commits):
        number = loved.call("GET", "/articles/tea").json["id"]
        delete(loved)
        loved.database.engine.dispose()  # no connection is shared with the child
        child = os.fork()
        if not child:
            finish_and_die(loved, number, commits)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
        assert 6 < sum(counts(loved)) < 2 * MANY + 8
        work(loved.app)
        assert counts(loved) == [1, 1, 3, 3]


def finish_and_die(api: API, number: int, commits: int) -> None:
    left = [commits]

    def count(_: object) -> None:
        left[0] -= 1
        if left[0] < 0:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(api.database.engine, "commit", count)
    api.app.services[ArticleRemoval].finish(number)
    os._exit(0)


def test_an_article_that_was_not_taken_away_stays(api):
    number = api.article()["id"]
    for each in (number, number + 1):
        api.app.services[ArticleRemoval].finish(each)
    assert counts(api)[0] == 1


def test_an_article_with_a_few_comments_is_deleted_at_once(api):
    fill(api, api.article()["id"], 3)
    delete(api)
    assert counts(api) == [0] * 4
