"""What of the articles is searched, from the commit to the result."""

from __future__ import annotations

import shutil
from datetime import timedelta

import pytest
from sqlalchemy import update

from app.article.index import ARTICLE, ArticleSource
from app.article.model import Article
from strongback.database import utc_now
from strongback.search import Search, SearchUnavailable
from strongback.search.part import lease_of
from strongback.task import Leases
from tests.app.article_library import LONG_AGO, ArticleLibrary
from tests.support.api import API
from tests.support.work import make_due, messages, tick, work

pytestmark = pytest.mark.speaks_sql

ANY = {"If-Match": "*"}


@pytest.fixture
def api(own_api: API) -> API:
    """An index that no other test has written to."""
    return own_api


@pytest.fixture
def search(api: API) -> Search:
    search: Search = api.app.services[Search]
    return search


@pytest.fixture
def library(api: API) -> ArticleLibrary:
    return ArticleLibrary(api.app)


def found(api: API, query: str) -> list[str]:
    answer = api.call("GET", f"/search?q={query}")
    assert answer.status_code == 200, answer.get_data(as_text=True)
    return [item["slug"] for item in answer.get_json()["items"]]


class TestKeepingUp:
    def test_an_article_is_found_once_its_task_has_run(self, api):
        api.article(title="Green tea", slug="tea")
        assert found(api, "tea") == []
        assert "article:index" in work(api.app)
        assert found(api, "green") == ["tea"]

    def test_a_change_is_found(self, api):
        api.article(slug="tea", title="Green tea")
        api.call("PATCH", "/articles/tea", by="ada", json={"title": "Coffee"}, headers=ANY)
        work(api.app)
        assert (found(api, "coffee"), found(api, "green")) == (["tea"], [])

    def test_a_deleted_article_is_gone(self, api):
        api.article(slug="tea")
        work(api.app)
        api.call("DELETE", "/articles/tea", by="ada", headers=ANY)
        work(api.app)
        assert found(api, "tea") == []

    def test_an_unpublished_article_is_gone(self, api):
        api.article(slug="tea")
        work(api.app)
        api.call("PATCH", "/articles/tea", by="ada", json={"published": False}, headers=ANY)
        work(api.app)
        assert found(api, "tea") == []

    def test_a_draft_is_not_found(self, api):
        api.article(slug="tea", published=False)
        work(api.app)
        assert found(api, "tea") == []

    def test_what_is_to_come_out_is_found_when_it_does(self, api, library):
        library.add_article("tea", "# Tea", published_at=utc_now() + timedelta(days=1))
        work(api.app)
        assert found(api, "tea") == []
        now = update(Article).values(published_at=utc_now())
        api.database.transact(lambda session: session.execute(now))
        make_due(api.app)
        work(api.app)
        assert found(api, "tea") == ["tea"]

    def test_many_changes_are_one_batch(self, api):
        for number in range(5):
            api.article(slug=f"tea-{number}")
        assert work(api.app).count("article:index") == 1
        assert len(found(api, "tea")) == 5

    def test_what_is_told_of_twice_is_there_once(self, api, search):
        number = api.article(slug="tea")["id"]
        search.update(ARTICLE.name, [number])
        search.update(ARTICLE.name, [number, number])
        assert found(api, "tea") == ["tea"]

    def test_writes_go_on_while_the_engine_is_gone_and_the_index_catches_up(self, api):
        path = api.app.settings.app_var_dir / "search"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("a file where the engine's folder should be")
        api.article(slug="tea")
        work(api.app)
        answer = api.call("GET", "/search?q=tea")
        assert answer.status_code == 503
        assert answer.get_json()["error_code"] == 13001
        assert int(answer.headers["Retry-After"]) > 0
        path.unlink()
        assert len(messages(api.app, "article:index")) == 1
        make_due(api.app)
        work(api.app)
        assert found(api, "tea") == ["tea"]

    def test_what_is_lost_is_built_anew_by_itself(self, api, search):
        api.article(slug="tea")
        work(api.app)
        shutil.rmtree(api.app.settings.app_var_dir / "search")
        tick(api.app, "search:article-build")
        assert found(api, "tea") == ["tea"]

    def test_nothing_is_built_while_somebody_else_builds(self, api, search):
        api.article(slug="tea")
        leases: Leases = api.app.services[Leases]
        leases.take(lease_of(ARTICLE.name), "another process", 60)
        tick(api.app, "search:article-build")
        assert found(api, "tea") == []
        leases.give_up(lease_of(ARTICLE.name), "another process")
        tick(api.app, "search:article-build")
        assert found(api, "tea") == ["tea"]

    def test_the_hourly_check_mends_what_differs(self, api, search):
        search.reindex(ARTICLE.name)
        number = api.article(slug="tea")["id"]
        assert search.check(ARTICLE.name).missing == (number,)
        tick(api.app, "search:article-check")
        assert found(api, "tea") == ["tea"]


class TestSource:
    def test_reads_what_readers_see(self, api, library):
        library.add_article(
            "tea", "# Green *tea*\n\nLeaves & `water`.", tags=("hot", "a"), published_at=LONG_AGO
        )
        library.add_article("later", "Text.", published_at=utc_now() + timedelta(days=1))
        api.article(slug="draft", published=False)
        source = ArticleSource(api.database)
        [[document]] = source.batches(10)
        assert source.count() == 1
        assert list(source.stamps()) == [(document["id"], 1)]
        assert source.read([document["id"], 99]) == [document]
        assert document["body"] == "Green tea Leaves & water ."
        assert (document["title"], document["tags"]) == ("Green tea", ["a", "hot"])
        assert document["published_at"] == LONG_AGO

    def test_reads_every_article_once_in_batches(self, api, library):
        for number in range(7):
            library.add_article(f"tea-{number}", tags=(f"tag-{number}",))
        batches = list(ArticleSource(api.database).batches(3))
        assert [len(batch) for batch in batches] == [3, 3, 1]
        tags = {document["slug"]: document["tags"] for batch in batches for document in batch}
        assert tags == {f"tea-{number}": [f"tag-{number}"] for number in range(7)}


def test_the_declaration_fits_the_engine(search):
    search.reindex(ARTICLE.name)
    assert search.engine.status(ARTICLE).is_current
    with pytest.raises(SearchUnavailable):
        search.engine.rebuild(ARTICLE, _overtaken(search))


def _overtaken(search: Search):
    yield []
    search.reindex(ARTICLE.name)
    yield []
