from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

import pytest
from structlog.testing import capture_logs

from strongback.circuit_breaker import TOLERATED_FAILURES
from strongback.search import (
    Attribute,
    Document,
    Index,
    Key,
    Need,
    Order,
    Query,
    Search,
    SearchMisuse,
    SearchUnavailable,
    parse_filter,
)
from strongback.search.meilisearch import MeilisearchEngine
from strongback.search.meilisearch.connection import SEARCH_TIMEOUT, MeilisearchRefused
from strongback.search.meilisearch.document import CHARACTERS, PRIMARY
from strongback.testing.port import free_port
from tests.strongback.search.meilisearch.conftest import ARTICLE, article
from tests.support.meilisearch import MASTER_KEY, Meilisearch, Refusal, StoredIndex

BOUND = 10 * SEARCH_TIMEOUT
"""Seconds: a busy machine needs more than the time-out itself, and without it it is for ever."""
SEARCH = "/indexes/article/search"
SETTINGS = "/indexes/article/settings"
DOCUMENTS = "/indexes/article/documents"


def titles(server: Meilisearch, uid: str = "article") -> dict[str, str]:
    return {key: one["title"] for key, one in server.indexes[uid].documents.items()}


class TestPreparing:
    def test_a_missing_index_is_made_with_the_declared_settings(
        self, engine: MeilisearchEngine, server: Meilisearch
    ) -> None:
        done = engine.prepare(ARTICLE)

        assert done[0] == "made the index article"
        settings = server.indexes["article"].settings
        assert settings["searchableAttributes"] == ["title", "tags", "body", CHARACTERS]
        assert settings["sortableAttributes"] == ["likes", "published_at"]
        assert settings["rankingRules"][-1] == "published_at:desc"
        assert settings["stopWords"] == ["a", "the"]
        assert settings["synonyms"] == {"js": ["javascript"]}
        assert settings["localizedAttributes"] == [
            {"attributePatterns": ["*"], "locales": ["cmn", "eng"]}
        ]

    def test_settings_that_are_as_declared_are_not_sent_again(
        self, prepared: MeilisearchEngine, server: Meilisearch
    ) -> None:
        assert prepared.prepare(ARTICLE) == []
        assert server.asked("PATCH", SETTINGS) == []

    def test_only_settings_that_differ_are_sent(
        self, prepared: MeilisearchEngine, server: Meilisearch
    ) -> None:
        changed = replace(ARTICLE, stop_words=frozenset({"the"}))

        assert prepared.prepare(changed) == ["set stopWords"]
        assert [one.body for one in server.asked("PATCH", SETTINGS)] == [{"stopWords": ["the"]}]

    def test_settings_that_the_declaration_does_not_determine_are_left_alone(
        self, prepared: MeilisearchEngine, server: Meilisearch
    ) -> None:
        server.indexes["article"].settings["dictionary"] = ["J. R. R."]
        server.indexes["article"].settings["typoTolerance"]["disableOnWords"] = ["strongback"]

        assert prepared.prepare(ARTICLE) == []
        assert prepared.status(ARTICLE).differences == ()

    def test_a_removed_synonym_is_removed_there_too(
        self, prepared: MeilisearchEngine, server: Meilisearch
    ) -> None:
        prepared.prepare(replace(ARTICLE, synonyms={}))

        assert server.indexes["article"].settings["synonyms"] == {}

    def test_two_processes_may_make_an_index_at_the_same_time(
        self, prepared: MeilisearchEngine, server: Meilisearch
    ) -> None:
        server.refusals = [Refusal("index_not_found", "Index `article` not found.")]

        prepared.prepare(ARTICLE)
        *_, creation = (task for task in server.tasks if task["type"] == "indexCreation")
        assert creation["error"]["code"] == "index_already_exists"

    def test_a_prefix_begins_the_name_of_everything(self, server: Meilisearch) -> None:
        engine = MeilisearchEngine(server.url, MASTER_KEY, prefix="blog_")
        engine.prepare(ARTICLE)
        engine.rebuild(ARTICLE, [[article(1)]])

        engine.search(ARTICLE, Query("x"))

        assert set(server.indexes) == {"blog_article"}
        assert {key["name"]: key["indexes"] for key in server.keys.values()} == {
            "blog_search": ["blog_*"],
            "blog_write": ["*"],
        }


class TestStatus:
    def test_an_index_that_was_never_made_does_not_exist(self, engine: MeilisearchEngine) -> None:
        assert not engine.status(ARTICLE).exists

    def test_documents_are_counted(self, prepared: MeilisearchEngine) -> None:
        prepared.add(ARTICLE, [article(1), article(2)])

        status = prepared.status(ARTICLE)
        assert (status.exists, status.documents, status.is_current) == (True, 2, True)
        assert not status.is_building

    def test_settings_that_differ_are_named(self, prepared: MeilisearchEngine) -> None:
        changed = replace(ARTICLE, stop_words=frozenset(), synonyms={})

        differences = prepared.status(changed).differences
        assert differences == ("stopWords differs", "synonyms differs")

    def test_documents_of_another_form_are_not_current_until_built_anew(
        self, prepared: MeilisearchEngine
    ) -> None:
        extended = replace(
            ARTICLE, attributes=(*ARTICLE.attributes, Attribute("summary", weight=3))
        )
        prepared.add(ARTICLE, [article(1)])
        prepared.prepare(extended)
        assert not prepared.status(extended).is_current

        prepared.rebuild(extended, [[article(1, summary="Short.")]])
        assert prepared.status(extended).is_current


class TestChangedSettings:
    """Somebody has changed the engine's settings behind the application's back."""

    @pytest.fixture
    def changed(
        self, prepared: MeilisearchEngine, server: Meilisearch
    ) -> Iterator[MeilisearchEngine]:
        prepared.add(ARTICLE, [article(1)])
        server.indexes["article"].settings["filterableAttributes"] = ["language"]
        yield prepared
        server.problems.clear()

    def test_make_a_search_unavailable_and_are_warned_of_once(
        self, changed: MeilisearchEngine
    ) -> None:
        query = Query("title", filter=parse_filter(ARTICLE, "tag = sql"))
        with capture_logs() as logs:
            for _ in range(3):
                with pytest.raises(SearchUnavailable):
                    changed.search(ARTICLE, query)
        (warning,) = logs
        assert warning["log_level"] == "warning"
        assert "tags" in warning["reason"]

    def test_are_sent_again_by_the_background_check(self, changed: MeilisearchEngine) -> None:
        search = Search(changed, [Articles()])
        assert search.need("article") is Need.SETTINGS
        search.send_settings("article")
        assert search.need("article") is Need.NOTHING
        found = changed.search(ARTICLE, Query("title", filter=parse_filter(ARTICLE, "tag = sql")))
        assert found.total == 1


@dataclass
class Articles:
    """The articles that there are."""

    documents: list[Document] = field(default_factory=lambda: [article(1)])
    after_batch: Callable[[], object] = lambda: None
    index = ARTICLE

    def count(self) -> int:
        return len(self.documents)

    def batches(self, _size: int) -> Iterator[list[Document]]:
        yield self.documents
        self.after_batch()

    def stamps(self) -> Iterator[tuple[int, int]]:
        return ((one["id"], one["version"]) for one in self.documents)

    def read(self, keys: Sequence[Key]) -> list[Document]:
        return [one for one in self.documents if one["id"] in keys]


class TestReasons:
    def test_a_wrong_key_is_told_with_the_remedy(self, server: Meilisearch) -> None:
        with pytest.raises(SearchUnavailable) as caught:
            MeilisearchEngine(server.url, "a wrong master key").status(ARTICLE)
        assert "refuses our key (403)" in caught.value.reason
        assert "MEILI_MASTER_KEY" in caught.value.reason
        assert "\n" not in caught.value.reason

    def test_a_server_that_is_gone_is_told_in_one_line(self) -> None:
        url = f"http://127.0.0.1:{free_port()}"
        with pytest.raises(SearchUnavailable) as caught:
            MeilisearchEngine(url, MASTER_KEY).status(ARTICLE)
        assert f"not usable at {url}: Connection refused." in caught.value.reason
        assert len(caught.value.reason) < 200


class TestKeys:
    def test_searches_are_asked_with_a_key_that_may_do_nothing_else(
        self, prepared: MeilisearchEngine, server: Meilisearch
    ) -> None:
        prepared.search(ARTICLE, Query("x"))

        used = server.asked("POST", SEARCH)[0].key
        (key,) = (one for one in server.keys.values() if one["key"] == used)
        assert (key["actions"], key["indexes"]) == (["search"], ["*"])

    def test_the_master_key_does_nothing_but_make_keys(
        self, engine: MeilisearchEngine, server: Meilisearch
    ) -> None:
        engine.prepare(ARTICLE)
        engine.rebuild(ARTICLE, [[article(1)]])
        engine.search(ARTICLE, Query("x"))

        with_master = {one.path for one in server.requests if one.key == MASTER_KEY}
        assert all(path.startswith("/keys") for path in with_master)

    def test_a_second_process_finds_the_keys_of_the_first(
        self, prepared: MeilisearchEngine, server: Meilisearch
    ) -> None:
        prepared.search(ARTICLE, Query("x"))
        before = dict(server.keys)

        other = MeilisearchEngine(server.url, MASTER_KEY)
        other.search(ARTICLE, Query("x"))
        other.add(ARTICLE, [article(1)])

        assert server.keys == before

    def test_a_key_that_another_process_makes_meanwhile_is_taken(
        self, prepared: MeilisearchEngine, server: Meilisearch
    ) -> None:
        prepared.search(ARTICLE, Query("x"))
        not_yet = Refusal("invalid_api_key", "The provided API key is invalid.")
        server.refusals = [not_yet]

        assert prepared.search(ARTICLE, Query("x")).total == 0
        assert len(server.keys) == 2

    def test_a_search_asks_nothing_with_the_master_key(
        self, prepared: MeilisearchEngine, server: Meilisearch
    ) -> None:
        prepared.search(ARTICLE, Query("x"))
        server.forget()
        MeilisearchEngine(server.url, MASTER_KEY).search(ARTICLE, Query("x"))

        assert MASTER_KEY not in {one.key for one in server.requests}

    def test_a_deleted_key_is_made_again(
        self, prepared: MeilisearchEngine, server: Meilisearch
    ) -> None:
        prepared.search(ARTICLE, Query("x"))
        server.keys.clear()

        assert prepared.search(ARTICLE, Query("x")).total == 0

    def test_a_wrong_master_key_makes_search_unavailable_and_is_logged(
        self, prepared: MeilisearchEngine, server: Meilisearch
    ) -> None:
        stranger = MeilisearchEngine(server.url, "not-the-master-key")

        with capture_logs() as logs, pytest.raises(SearchUnavailable):
            stranger.search(ARTICLE, Query("x"))
        assert logs[0]["event"] == "search_refused"
        assert "invalid_api_key" in logs[0]["reason"]

    def test_an_unprotected_server_is_asked_without_making_keys(self, server: Meilisearch) -> None:
        engine = MeilisearchEngine(server.url, "")
        server.refusals = [Refusal("index_not_found", "Index `article` not found.")]

        assert not engine.status(ARTICLE).exists
        assert [one.path for one in server.requests] == ["/indexes/article/stats"]


class TestWriting:
    def test_what_was_added_is_there_once_the_method_returns(
        self, prepared: MeilisearchEngine, server: Meilisearch
    ) -> None:
        prepared.add(ARTICLE, [article(1), article(2)])

        assert titles(server) == {"1": "Title 1", "2": "Title 2"}

    def test_what_was_deleted_is_gone_once_the_method_returns(
        self, prepared: MeilisearchEngine, server: Meilisearch
    ) -> None:
        prepared.add(ARTICLE, [article(1), article(2)])
        prepared.delete(ARTICLE, [1, 99])

        assert titles(server) == {"2": "Title 2"}

    def test_moments_are_kept_to_the_microsecond(
        self, prepared: MeilisearchEngine, server: Meilisearch
    ) -> None:
        document = article(123456)
        prepared.add(ARTICLE, [document])

        (hit,) = prepared.search(ARTICLE, Query()).hits
        assert hit.document["published_at"] == document["published_at"]
        assert type(server.indexes["article"].documents["123456"]["published_at"]) is int

    def test_what_is_none_is_left_out_and_comes_back_as_none(
        self, prepared: MeilisearchEngine, server: Meilisearch
    ) -> None:
        prepared.add(ARTICLE, [article(1, language=None, tags=[])])

        assert "language" not in server.indexes["article"].documents["1"]
        (hit,) = prepared.search(ARTICLE, Query()).hits
        assert (hit.document["language"], hit.document["tags"]) == (None, [])

    def test_nothing_to_add_or_delete_asks_nothing(
        self, prepared: MeilisearchEngine, server: Meilisearch
    ) -> None:
        prepared.add(ARTICLE, [])
        prepared.delete(ARTICLE, [])

        assert server.requests == []

    def test_batches_are_cut_by_count(
        self, prepared: MeilisearchEngine, server: Meilisearch
    ) -> None:
        prepared.add(ARTICLE, [article(number, body="") for number in range(1, 4_502)])

        assert [len(one.body) for one in server.asked("POST", DOCUMENTS)] == [2000, 2000, 501]
        assert len(titles(server)) == 4_501

    def test_batches_are_cut_by_bytes(
        self, prepared: MeilisearchEngine, server: Meilisearch
    ) -> None:
        megabytes = 3
        large = "é" * (megabytes * 1024 * 1024 // 2)
        prepared.add(ARTICLE, [article(number, body=large) for number in range(1, 6)])

        sent = server.asked("POST", DOCUMENTS)
        assert [len(one.body) for one in sent] == [2, 2, 1]
        assert max(one.size for one in sent) < 8 * 1024 * 1024

    def test_a_key_of_other_letters_than_meilisearch_takes_is_stored_all_the_same(
        self, engine: MeilisearchEngine
    ) -> None:
        page = Index("page", key="path", attributes=(Attribute("path", weight=1),))
        engine.prepare(page)
        engine.add(page, [{"path": "/über uns"}, {"path": "plain"}])
        engine.delete(page, ["plain"])

        assert list(engine.stamps(page)) == [("/über uns", None)]

    def test_writing_to_an_index_that_was_never_made_makes_none(
        self, engine: MeilisearchEngine, server: Meilisearch
    ) -> None:
        for write in (
            lambda: engine.add(ARTICLE, [article(1)]),
            lambda: engine.delete(ARTICLE, [1]),
        ):
            with pytest.raises(SearchUnavailable):
                write()
        server.settle()
        assert server.indexes == {}

    @pytest.mark.parametrize(
        "document", [{"title": "No key"}, article(1, likes="many"), article(1, colour="red")]
    )
    def test_what_the_index_does_not_declare_is_refused_unsent(
        self, prepared: MeilisearchEngine, server: Meilisearch, document: Document
    ) -> None:
        with pytest.raises(SearchMisuse):
            prepared.add(ARTICLE, [document])
        assert server.asked("POST", DOCUMENTS) == []

    def test_a_failed_task_is_an_error_in_meilisearchs_own_words(
        self, prepared: MeilisearchEngine, server: Meilisearch
    ) -> None:
        server.failures["documentAdditionOrUpdate"] = "no_space_left_on_device"

        with pytest.raises(MeilisearchRefused, match="no_space_left_on_device") as caught:
            prepared.add(ARTICLE, [article(1)])
        assert "documentAdditionOrUpdate" in str(caught.value)

    def test_a_task_that_is_not_done_in_time_is_no_success(
        self, prepared: MeilisearchEngine, server: Meilisearch
    ) -> None:
        impatient = MeilisearchEngine(server.url, MASTER_KEY, task_timeout=0.2)
        server.is_stuck = True

        with pytest.raises(SearchUnavailable):
            impatient.add(ARTICLE, [article(1)])

    def test_stamps_are_read_page_by_page(
        self, prepared: MeilisearchEngine, server: Meilisearch
    ) -> None:
        prepared.add(ARTICLE, [article(number, version=number % 7) for number in range(1, 2_301)])

        stamps = dict(prepared.stamps(ARTICLE))
        assert stamps == {number: number % 7 for number in range(1, 2_301)}
        assert len(server.asked("POST", DOCUMENTS + "/fetch")) == 3


class TestRebuilding:
    def test_the_new_index_takes_the_old_ones_place(
        self, prepared: MeilisearchEngine, server: Meilisearch
    ) -> None:
        prepared.add(ARTICLE, [article(1), article(2)])

        assert prepared.rebuild(ARTICLE, [[article(2, title="new")], [article(3)]]) == 2
        assert titles(server) == {"2": "new", "3": "Title 3"}
        assert set(server.indexes) == {"article"}

    def test_it_works_without_an_old_one(
        self, engine: MeilisearchEngine, server: Meilisearch
    ) -> None:
        assert engine.rebuild(ARTICLE, [[article(1)]]) == 1

        assert engine.status(ARTICLE).is_current
        assert engine.prepare(ARTICLE) == []

    def test_an_empty_one_is_a_good_one(self, prepared: MeilisearchEngine) -> None:
        prepared.add(ARTICLE, [article(1)])

        assert prepared.rebuild(ARTICLE, []) == 0

    def test_nobody_sees_it_before_it_is_whole(
        self, prepared: MeilisearchEngine, server: Meilisearch
    ) -> None:
        prepared.add(ARTICLE, [article(1), article(2)])
        seen = []

        def batches() -> Iterator[list[Document]]:
            for number in (2, 3, 4):
                server.settle()
                seen.append(prepared.search(ARTICLE, Query()).total)
                assert prepared.status(ARTICLE).is_building
                yield [article(number)]

        assert prepared.rebuild(ARTICLE, batches()) == 3
        assert seen == [2, 2, 2]

    def test_what_is_written_meanwhile_is_in_it_once_it_is_repaired(
        self, prepared: MeilisearchEngine, server: Meilisearch
    ) -> None:
        articles = Articles([article(number) for number in (1, 2, 3)])
        search = Search(prepared, [articles])
        search.reindex("article")

        def change() -> None:
            articles.after_batch = lambda: None
            articles.documents = [article(1, title="newer", version=2), article(9)]
            MeilisearchEngine(server.url, MASTER_KEY).add(ARTICLE, articles.documents)

        articles.after_batch = change
        search.reindex("article")
        assert titles(server) == {"1": "newer", "9": "Title 9"}

    def test_batches_that_raise_leave_the_old_index(
        self, prepared: MeilisearchEngine, server: Meilisearch
    ) -> None:
        prepared.add(ARTICLE, [article(1)])

        def batches() -> Iterator[list[Document]]:
            yield [article(2)]
            raise RuntimeError("the database is gone")

        with pytest.raises(RuntimeError, match="the database is gone"):
            prepared.rebuild(ARTICLE, batches())
        assert titles(server) == {"1": "Title 1"}
        assert set(server.indexes) == {"article"}
        assert not prepared.status(ARTICLE).is_building

    def test_a_failed_swap_leaves_the_old_index(
        self, prepared: MeilisearchEngine, server: Meilisearch
    ) -> None:
        prepared.add(ARTICLE, [article(1)])
        server.failures["indexSwap"] = "internal"

        with pytest.raises(MeilisearchRefused, match="indexSwap"):
            prepared.rebuild(ARTICLE, [[article(2)]])
        assert titles(server) == {"1": "Title 1"}

    def test_of_two_at_the_same_time_the_later_one_wins(
        self, prepared: MeilisearchEngine, server: Meilisearch
    ) -> None:
        other = MeilisearchEngine(server.url, MASTER_KEY)

        def overtaken() -> Iterator[list[Document]]:
            yield [article(1, title="earlier")]
            other.rebuild(ARTICLE, [[article(1, title="later")]])
            yield [article(2, title="earlier")]

        with pytest.raises(MeilisearchRefused, match="Another process"):
            prepared.rebuild(ARTICLE, overtaken())
        assert titles(server) == {"1": "later"}
        assert set(server.indexes) == {"article"}

    def test_what_a_dead_process_left_behind_is_cleared_away(
        self, prepared: MeilisearchEngine, server: Meilisearch
    ) -> None:
        server.indexes["article__new_dead"] = StoredIndex(PRIMARY)
        assert prepared.status(ARTICLE).is_building

        prepared.rebuild(ARTICLE, [[article(1)]])
        assert set(server.indexes) == {"article"}
        assert not prepared.status(ARTICLE).is_building


class TestSearching:
    def test_the_whole_question_is_asked(
        self, prepared: MeilisearchEngine, server: Meilisearch
    ) -> None:
        query = Query(
            "async sq",
            filter=parse_filter(ARTICLE, "language = zh AND tag IN [async, sql]"),
            sort=(Order("published_at", descending=True), Order("likes")),
            page=3,
            page_size=10,
            highlight=("title",),
            crop=120,
            facets=("tags",),
        )
        prepared.search(ARTICLE, query)

        body = server.asked("POST", SEARCH)[0].body
        assert (body["q"], body["page"], body["hitsPerPage"]) == ("async sq", 3, 10)
        assert body["filter"] == '(language = "zh") AND (tags IN ["async", "sql"])'
        assert body["sort"] == ["published_at:desc", "likes:asc"]
        assert body["facets"] == ["tags"]
        assert body["attributesToHighlight"] == body["attributesToCrop"] == ["title"]
        assert body["cropLength"] == 20
        assert "body" not in body["attributesToRetrieve"]

    def test_a_document_comes_back_as_the_index_shows_it(self, prepared: MeilisearchEngine) -> None:
        document = article(1)
        prepared.add(ARTICLE, [document])

        (hit,) = prepared.search(ARTICLE, Query("title")).hits
        del document["body"]
        assert hit.document == document
        assert hit.highlight == {}

    def test_a_total_counts_all_pages(self, prepared: MeilisearchEngine) -> None:
        prepared.add(ARTICLE, [article(number) for number in range(1, 1_502)])

        result = prepared.search(ARTICLE, Query(page=76))
        assert (len(result.hits), result.total) == (1, 1_501)

    def test_facets_are_counted_by_their_label_most_first(
        self, prepared: MeilisearchEngine, server: Meilisearch
    ) -> None:
        server.facets = {"tags": {"sql": 2, "async": 7, "api": 2}}

        found = prepared.search(ARTICLE, Query(facets=("tags",))).facets
        assert {label: list(counts.items()) for label, counts in found.items()} == {
            "tag": [("async", 7), ("api", 2), ("sql", 2)]
        }

    def test_texts_are_escaped_and_only_what_was_found_is_marked(
        self, prepared: MeilisearchEngine, server: Meilisearch
    ) -> None:
        prepared.search(ARTICLE, Query("b", highlight=("title",)))
        asked = server.asked("POST", SEARCH)[0].body
        before, after = asked["highlightPreTag"], asked["highlightPostTag"]
        marked = f"<script>{before}b{after}</script> & <mark>"
        tags = [f"{before}sql{after}", "a<b"]
        server.hits = [{"id": 1, "_formatted": {"title": marked, "tags": tags}}]

        (hit,) = prepared.search(ARTICLE, Query("b", highlight=("title", "tags"))).hits
        expected = "&lt;script&gt;<mark>b</mark>&lt;/script&gt; &amp; &lt;mark&gt;"
        assert hit.highlight == {"title": expected, "tags": "<mark>sql</mark>, a&lt;b"}

    def test_an_attribute_without_text_is_not_highlighted(
        self, prepared: MeilisearchEngine
    ) -> None:
        prepared.add(ARTICLE, [article(1, tags=[], body="")])

        (hit,) = prepared.search(ARTICLE, Query("x", highlight=("title", "tags", "body"))).hits
        assert hit.highlight.keys() == {"title"}

    @pytest.mark.parametrize(
        "typed, asked",
        [
            ('"exact phrase"', '"exact phrase"'),
            ('an "open one', "an open one"),
            ("-draft --all", "draft all"),
            ("server-sent", "server-sent"),
            ("half typed ", "half typed "),
            ("\ud800 alone", "? alone"),
            ("x" * 10_000, "x" * 512),
        ],
    )
    def test_meilisearchs_own_syntax_means_nothing(
        self, prepared: MeilisearchEngine, server: Meilisearch, typed: str, asked: str
    ) -> None:
        prepared.search(ARTICLE, Query(typed))

        sent: str = server.asked("POST", SEARCH)[0].body["q"]
        assert sent.split() == asked.split()
        assert sent.endswith(" ") == asked.endswith(" ")

    def test_facets_of_what_is_not_counted_are_a_defect(self, prepared: MeilisearchEngine) -> None:
        with pytest.raises(SearchMisuse, match="likes"):
            prepared.search(ARTICLE, Query(facets=("likes",)))

    def test_little_found_makes_it_look_for_what_lacks_a_word(
        self, prepared: MeilisearchEngine, server: Meilisearch
    ) -> None:
        prepared.add(ARTICLE, [article(number) for number in range(1, 5)])
        prepared.search(ARTICLE, Query("how to sort"))

        asked = [one.body["matchingStrategy"] for one in server.asked("POST", SEARCH)]
        assert asked == ["all", "frequency"]

    def test_chinese_of_which_nothing_has_the_words_is_looked_for_by_its_characters(
        self, prepared: MeilisearchEngine, server: Meilisearch
    ) -> None:
        prepared.search(ARTICLE, Query('SQL "求的主" 体', sort=(Order("likes"),)))

        first, second = (one.body for one in server.asked("POST", SEARCH))
        assert second["q"].split() == ["SQL", '"求', "的", '主"', '"体"']
        assert second == first | {"q": second["q"]}

    @pytest.mark.parametrize(
        "query", [Query("title", sort=(Order("likes"),)), Query(""), Query("title")]
    )
    def test_enough_found_or_another_order_is_asked_for_once(
        self, prepared: MeilisearchEngine, server: Meilisearch, query: Query
    ) -> None:
        prepared.add(ARTICLE, [article(number) for number in range(1, 6 if query.text else 2)])
        prepared.search(ARTICLE, query)

        assert len(server.asked("POST", SEARCH)) == 1

    def test_sorting_by_what_is_not_sorted_is_a_defect(self, prepared: MeilisearchEngine) -> None:
        with pytest.raises(SearchMisuse, match="version"):
            prepared.search(ARTICLE, Query(sort=(Order("version"),)))

    def test_suggestions_are_texts_of_one_attribute_each_once(
        self, prepared: MeilisearchEngine, server: Meilisearch
    ) -> None:
        prepared.add(
            ARTICLE,
            [article(1, title="Same"), article(2, title="Same"), article(3, title="Other")],
        )

        found = prepared.suggest(ARTICLE, "s", 5)
        assert [one.text for one in found] == ["Same", "Other"]
        assert found[0].document["id"] == 1
        assert server.asked("POST", SEARCH)[0].body["attributesToSearchOn"] == ["title"]

    def test_no_more_are_suggested_than_asked_for(self, prepared: MeilisearchEngine) -> None:
        prepared.add(ARTICLE, [article(number) for number in range(1, 9)])

        assert len(prepared.suggest(ARTICLE, "t", 3)) == 3

    def test_an_index_without_a_suggested_attribute_suggests_nothing(
        self, prepared: MeilisearchEngine
    ) -> None:
        with pytest.raises(SearchMisuse, match="suggests nothing"):
            prepared.suggest(replace(ARTICLE, suggests=None), "x", 5)


def _seconds(function: Callable[[], object]) -> float:
    started = time.monotonic()
    with pytest.raises(SearchUnavailable):
        function()
    return time.monotonic() - started


class TestFailing:
    def test_an_index_that_was_never_made_is_unavailable(self, engine: MeilisearchEngine) -> None:
        with pytest.raises(SearchUnavailable) as caught:
            engine.search(ARTICLE, Query("x"))
        assert caught.value.headers["Retry-After"]

    def test_nobody_listening_is_noticed_at_once(self) -> None:
        engine = MeilisearchEngine(f"http://127.0.0.1:{free_port()}", MASTER_KEY)

        assert _seconds(lambda: engine.search(ARTICLE, Query("x"))) < BOUND
        assert _seconds(engine.ping) < BOUND

    def test_a_frozen_server_delays_the_first_callers_only(
        self, prepared: MeilisearchEngine, server: Meilisearch
    ) -> None:
        prepared.search(ARTICLE, Query("x"))
        with server.frozen():
            first = [
                _seconds(lambda: prepared.search(ARTICLE, Query("x")))
                for _ in range(TOLERATED_FAILURES)
            ]
            then = [_seconds(lambda: prepared.search(ARTICLE, Query("x"))) for _ in range(20)]

        assert max(first) < BOUND
        assert sum(then) < 20 * SEARCH_TIMEOUT / 2, "they have waited for it"

    def test_a_frozen_server_does_not_keep_those_waiting_who_come_first(
        self, prepared: MeilisearchEngine, server: Meilisearch
    ) -> None:
        with server.frozen():
            assert _seconds(lambda: prepared.prepare(ARTICLE)) < BOUND

    def test_an_outage_is_logged_once_and_its_end_too(
        self, prepared: MeilisearchEngine, server: Meilisearch
    ) -> None:
        fault = Refusal("internal", "An internal error has occurred.", 500)
        server.refusals = [fault] * (TOLERATED_FAILURES + 1)
        with capture_logs() as logs:
            for _ in range(TOLERATED_FAILURES + 20):
                _seconds(lambda: prepared.search(ARTICLE, Query("x")))
            assert len(server.asked("POST", SEARCH)) < TOLERATED_FAILURES + 2
            deadline = time.monotonic() + 20
            server.refusals = []
            while "circuit_closed" not in [one["event"] for one in logs]:
                assert time.monotonic() < deadline
                with suppress(SearchUnavailable):
                    prepared.search(ARTICLE, Query("x"))
                time.sleep(0.05)

        events = [one["event"] for one in logs]
        assert events.count("circuit_opened") == events.count("circuit_closed") == 1

    def test_what_meilisearch_takes_for_our_mistake_is_no_outage(
        self, prepared: MeilisearchEngine, server: Meilisearch
    ) -> None:
        prepared.search(ARTICLE, Query("x"))
        server.refusals = [Refusal("invalid_search_page", "Page must be positive.")] * 8
        for _ in range(8):
            with pytest.raises(MeilisearchRefused, match="must be positive"):
                prepared.search(ARTICLE, Query("x"))

        assert prepared.search(ARTICLE, Query("x")).total == 0

    def test_an_answer_that_is_no_json_is_an_outage(
        self, prepared: MeilisearchEngine, server: Meilisearch
    ) -> None:
        prepared.search(ARTICLE, Query("x"))
        server.garbage = b"<html>a proxy</html>"

        with pytest.raises(SearchUnavailable):
            prepared.search(ARTICLE, Query("x"))

    def test_a_sign_of_life_needs_no_key(
        self, engine: MeilisearchEngine, server: Meilisearch
    ) -> None:
        engine.ping()

        assert [one.path for one in server.requests] == ["/health"]
