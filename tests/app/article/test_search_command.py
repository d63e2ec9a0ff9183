from __future__ import annotations

from collections.abc import Iterator

import pytest

from app.article.index import ARTICLE
from strongback.app import Strongback
from strongback.search import Search
from strongback.search.meilisearch import MeilisearchEngine
from strongback.search.tantivy.folder import IndexFolder
from tests.app.article_library import ArticleLibrary
from tests.strongback.cli.test_doctor import with_meilisearch
from tests.support.meilisearch import MASTER_KEY, Meilisearch, run_meilisearch
from tests.web_fixture import app  # an index that no other test has written to

__all__ = ["app"]


@pytest.fixture
def search(app: Strongback) -> Search:
    search: Search = app.services[Search]
    return search


@pytest.fixture
def full(library: ArticleLibrary) -> ArticleLibrary:
    for number in range(3):
        library.add_article(f"tea-{number}", f"# Tea {number}")
    return library


def test_an_index_that_was_never_made_is_said_with_the_remedy(full):
    status, output = full.run("search", "status")
    assert status == 1
    assert "engine: tantivy\narticle: was never made" in output
    assert "search reindex" in output


def test_reindex_makes_it(full):
    status, output = full.run("search", "reindex")
    assert status == 0
    assert output.startswith("article: 3 documents\n")
    status, output = full.run("search", "status")
    assert status == 0
    assert "article: 3 documents of 3," in output
    assert "as declared" in output


def test_sync_settings_says_what_it_made(full):
    assert full.run("search", "sync-settings") == (0, "article: made index article\n")
    assert full.run("search", "sync-settings", "article") == (0, "article: nothing to change\n")


@pytest.mark.speaks_sql
def test_check_lists_what_differs_and_repair_mends_it(full, search):
    full.run("search", "reindex")
    numbers = [number for number, _ in search.source(ARTICLE.name).stamps()]
    full.add_article("tea-0", "# Coffee")
    search.engine.delete(ARTICLE, [numbers[1]])
    status, output = full.run("search", "check")
    assert status == 1
    assert "article: 1 missing, 1 outdated, 0 surplus" in output
    assert f"  missing: {numbers[1]}\n" in output
    assert "check --repair" in output
    status, output = full.run("search", "check", "--repair")
    assert status == 0
    assert "article: repaired" in output
    assert full.run("search", "check") == (0, "article: 0 missing, 0 outdated, 0 surplus\n")


@pytest.mark.parametrize("state", ["never made", "damaged"])
def test_repair_builds_what_cannot_be_compared(full, state, settings):
    if state == "damaged":
        full.run("search", "reindex")
        next((settings.app_var_dir / "search" / "article").glob("*/meta.json")).write_text("{")
    status, output = full.run("search", "check")
    assert status == 1
    assert "article: has to be built anew" in output
    status, output = full.run("search", "check", "--repair")
    assert status == 0
    assert "article: built anew" in output
    assert full.run("search", "check") == (0, "article: 0 missing, 0 outdated, 0 surplus\n")


@pytest.mark.parametrize("command", ["reindex", "status", "sync-settings", "check"])
def test_an_index_that_nobody_declared_is_said(full, command):
    status, output = full.run("search", command, "shop")
    assert status == 2
    assert "no index is called shop; there are: article" in output


def test_a_build_while_another_process_builds_says_so(full, settings):
    with IndexFolder(settings.app_var_dir / "search" / "article").building(ARTICLE):
        status, output = full.run("search", "reindex")
    assert status == 1
    assert "Another process is building this index. See how it stands" in output
    assert "MEILI_URL" not in output


@pytest.mark.parametrize("command", ["reindex", "status", "sync-settings", "check"])
def test_an_engine_that_is_gone_is_said_in_one_line(full, command, settings):
    (settings.app_var_dir / "search").write_text("a file")
    status, output = full.run("search", command)
    assert status == 1
    assert "cannot be used: [Errno 20] Not a directory" in output.splitlines()[-1]
    assert "Traceback" not in output


@pytest.fixture
def meilisearch(full: ArticleLibrary, search: Search) -> Iterator[Meilisearch]:
    """The application's index in a Meilisearch, as declared."""
    with run_meilisearch() as server:
        search.engine = MeilisearchEngine(server.url, MASTER_KEY)
        search.reindex(ARTICLE.name)
        search.engine.prepare(ARTICLE)
        yield server


def test_settings_that_differ_are_not_as_declared(full, meilisearch):
    assert full.run("search", "status")[0] == 0
    meilisearch.indexes["article"].settings["filterableAttributes"] = []
    status, output = full.run("search", "status")
    assert status == 1
    assert "NOT as declared" in output
    assert "filterableAttributes differs" in output
    assert "search sync-settings" in output
    assert full.run("search", "sync-settings")[0] == 0
    assert full.run("search", "status")[0] == 0


def test_a_wrong_key_is_said_in_one_line(full, search, meilisearch):
    search.engine = MeilisearchEngine(meilisearch.url, "a wrong master key")
    status, output = full.run("search", "status")
    assert status == 1
    assert output.splitlines()[-1] == (
        "Error: Meilisearch refuses our key (403)."
        " Set MEILI_MASTER_KEY to the one that Meilisearch was started with."
    )


@pytest.mark.parametrize("key", ["", "another-key-than-the-servers"])
def test_doctor_explains_an_engine_that_refuses_the_key(settings, key):
    with run_meilisearch() as server:
        result = with_meilisearch(settings, server.url, key)
    assert result.exit_code == 1
    assert "Set MEILI_MASTER_KEY" in result.output
    assert MASTER_KEY not in result.output
