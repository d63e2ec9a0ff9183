from __future__ import annotations

import re
import threading
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import event, func, select
from sqlalchemy.exc import SQLAlchemyError

from app.article import view_count
from app.article.model import Article, ArticleViews
from app.article.view_count import ViewCounter
from strongback.background import Background
from strongback.database import Database
from tests.support.api import API
from tests.support.thread import run_together
from tests.support.work import tick

pytestmark = pytest.mark.speaks_sql


@pytest.fixture
def views(api: API) -> ViewCounter:
    counter: ViewCounter = api.app.services[ViewCounter]
    return counter


def read(
    api: API, slug: str = "tea", *, method: str = "GET", by: str | None = None, **headers: str
):
    return api.call(method, f"/articles/{slug}", by=by, headers=headers)


def counted(api: API) -> dict[str, int]:
    """What the list shows, once everything is added up."""
    tick(api.app, "article:views")
    answer: Any = api.call("GET", "/articles?sort=-views").json
    return {item["slug"]: item["views"] for item in answer["items"]}


def rows(api: API) -> int:
    with api.database.scope():
        return api.database.session.scalar(select(func.count()).select_from(ArticleViews)) or 0


class TestCounting:
    def test_200_and_304_count_alike(self, api, views):
        tag = api.article()["etag"]
        statuses = [
            read(api).status_code,
            read(api, **{"If-None-Match": tag}).status_code,
            read(api, **{"If-None-Match": '"other"'}).status_code,
        ]
        views.save()
        assert (statuses, counted(api)) == ([200, 304, 200], {"tea": 3})

    def test_what_reads_nothing_does_not_count(self, api, views):
        api.article()
        api.article(title="Draft", published=False)
        read(api, method="HEAD")
        read(api, "none")
        read(api, "draft", by="ada")
        api.call("GET", "/articles")
        api.call("GET", "/articles/tea/comments")
        views.save()
        assert counted(api) == {"tea": 0}

    def test_writes_nothing_in_the_request(self, own_api):
        own_api.article()
        written: list[str] = []

        def note(_connection, _cursor, statement, *_):
            # MariaDB is told the limit of a read in front of it.
            if not re.match(r"\s*(SET STATEMENT \S+ FOR )?SELECT\b", statement):
                written.append(statement)

        event.listen(own_api.database.engine, "before_cursor_execute", note)
        read(own_api)
        assert [each for each in written if "article" in each] == []

    def test_changes_neither_tag_nor_times_nor_version(self, api, views):
        before = read(api.article() and api)
        read(api)
        views.save()
        assert counted(api) == {"tea": 2}
        after = read(api)
        assert (after.json, after.headers["ETag"]) == (before.json, before.headers["ETag"])
        assert after.headers["Last-Modified"] == before.headers["Last-Modified"]

    def test_of_many_threads_is_exact(self, api, views):
        for slug in ("a", "b"):
            api.article(slug=slug)

        def reader(slug: str) -> None:
            for _ in range(25):
                read(api, slug)
                views.save()

        run_together(*[partial(reader, slug) for slug in ("a", "b") for _ in range(3)])
        assert counted(api) == {"a": 75, "b": 75}


class TestList:
    def test_may_begin_with_what_is_read_most(self, api, views):
        for slug, times in (("a", 1), ("b", 3), ("c", 2)):
            api.article(slug=slug)
            for _ in range(times):
                read(api, slug)
        views.save()
        assert list(counted(api)) == ["b", "c", "a"]
        first = api.call("GET", "/articles?sort=-views&cursor=&page_size=2").json
        cursor = first["next_cursor"]
        second = api.call("GET", f"/articles?sort=-views&page_size=2&cursor={cursor}").json
        assert [item["slug"] for item in first["items"] + second["items"]] == ["b", "c", "a"]


class TestAddingUp:
    def test_is_done_once(self, api, views):
        api.article()
        for _ in range(3):
            read(api)
            views.save()
        assert rows(api) == 3
        assert [counted(api), counted(api), rows(api)] == [{"tea": 3}, {"tea": 3}, 0]

    def test_of_several_at_once_is_done_once(self, api, views):
        api.article()
        for _ in range(40):
            read(api)
            views.save()

        def add_up():
            with api.database.scope():
                return views.add_up()

        assert sum(run_together(*[add_up] * 4)) == 40
        assert counted(api) == {"tea": 40}

    def test_takes_as_many_turns_as_it_needs(self, api, views, monkeypatch):
        monkeypatch.setattr(view_count, "BATCH", 2)
        api.article()
        for _ in range(5):
            read(api)
            views.save()
        assert counted(api) == {"tea": 5}

    def test_forgets_articles_that_are_gone(self, api, views):
        api.article()
        read(api)
        views.save()
        api.call("DELETE", "/articles/tea", by="ada", headers={"If-Match": "*"})
        assert (counted(api), rows(api)) == ({}, 0)

    def test_waits_for_a_writer_and_takes_nothing_from_it(self, api, views):
        """A change that is not committed yet keeps its article, and its version stays right."""
        tag = api.article()["etag"]
        read(api)
        views.save()
        begun, done = threading.Event(), threading.Event()

        def change(session):
            article = session.scalars(select(Article).with_for_update()).one()
            article.title = "Green Tea"
            session.flush()
            begun.set()
            done.wait(0.3)

        writer = threading.Thread(target=lambda: api.database.transact(change))
        writer.start()
        begun.wait(10)
        assert counted(api) == {"tea": 1}
        writer.join()
        article = read(api).json
        assert (article["title"], article["version"]) == ("Green Tea", 2)
        assert read(api).headers["ETag"] != tag


class TestProcess:
    def test_saves_from_time_to_time_and_at_its_end(self, api, views, monkeypatch):
        monkeypatch.setattr(view_count, "SAVE_INTERVAL", 0.02)
        api.article()
        views.start()
        read(api)
        deadline = datetime.now().astimezone() + timedelta(seconds=20)
        while not rows(api):
            assert datetime.now().astimezone() < deadline
        monkeypatch.setattr(view_count, "SAVE_INTERVAL", 3600)
        read(api)
        views.stop()
        assert counted(api) == {"tea": 2}

    def test_is_started_and_stopped_with_the_process(self, api, views):
        background: Background = api.app.services[Background]
        assert views in background._parts

    def test_saving_that_fails_is_tried_again(self, api, views, tmp_path):
        """The counts stay while the database does not answer."""
        api.article()
        read(api)
        url = f"sqlite:///{tmp_path}/without-tables.db"
        gone = Database(api.app.settings.model_copy(update={"database_url": url}))
        there, views.database = views.database, gone
        views.stop()
        gone.close()
        views.database = there
        read(api)
        views.stop()
        assert counted(api) == {"tea": 2}

    def test_what_may_have_been_written_is_not_written_again(self, api, views):
        """The connection is lost at the commit: nobody knows what became of it."""
        api.article()
        read(api)

        def lose(_connection):
            raise SQLAlchemyError("the connection was lost at the commit")

        event.listen(api.database.engine, "commit", lose)
        with pytest.raises(SQLAlchemyError):
            views.save()
        event.remove(api.database.engine, "commit", lose)
        views.save()
        assert counted(api) == {"tea": 0}
