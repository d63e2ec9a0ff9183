"""What holds for every engine."""

from __future__ import annotations

import threading
import unicodedata
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from strongback.search import (
    Engine,
    Order,
    Query,
    SearchMisuse,
    SearchUnavailable,
    parse_filter,
)
from tests.strongback.search.conftest import BOOK, book

MARK = "<mark>"


def find(engine: Engine, text: str = "", **options: Any) -> list[int]:
    """The numbers of the documents found, in order."""
    if isinstance(options.get("filter"), str):
        options["filter"] = parse_filter(BOOK, options["filter"])
    return [hit.document["id"] for hit in engine.search(BOOK, Query(text, **options)).hits]


PUNCTUATION = [
    letter
    for letter in map(chr, [*range(0x20, 0x7F), *range(0x3000, 0x3040), *range(0xFF00, 0xFFF0)])
    if unicodedata.category(letter)[0] in "PSZ"
]
"""Every mark of ASCII, of Chinese and Japanese, and of full width."""
SIGNS = [*"→°©®™€£¥·•…–—“”‘’«»✓★", "\u00a0", "\u00ad", "\u200b", "\ufeff"]


class TestSeparators:
    def test_every_mark_and_sign_parts_words(self, shelf):
        marks = dict(enumerate([*PUNCTUATION, *SIGNS], 1))
        shelf.add(BOOK, [book(i, f"green{mark}tea{mark}leaf") for i, mark in marks.items()])
        for word in ("green ", "tea ", "leaf "):
            found = set(find(shelf, word, page_size=len(marks)))
            assert [mark for i, mark in marks.items() if i not in found] == []

    def test_every_mark_and_sign_ends_what_is_highlighted(self, shelf):
        marks = dict(enumerate([*PUNCTUATION, *SIGNS], 1))
        shelf.add(BOOK, [book(i, f"green{mark}tea{mark}leaf") for i, mark in marks.items()])
        query = Query("tea ", highlight=("title",), page_size=len(marks))
        shown = {
            hit.document["id"]: hit.highlight["title"] for hit in shelf.search(BOOK, query).hits
        }
        assert [mark for i, mark in marks.items() if "<mark>tea</mark>" not in shown[i]] == []

    @pytest.mark.parametrize(
        "text", ["😀", "???", "%", "_", "™", "，。", "\u200b", '""', "-", "👍🏽", "!?", '"']
    )
    def test_a_text_without_words_finds_nothing(self, shelf, text):
        shelf.add(BOOK, [book(1, "Green tea"), book(2, "Black tea")])
        result = shelf.search(BOOK, Query(text, facets=("language",)))
        assert (result.hits, result.total, result.facets) == ([], 0, {"language": {}})
        assert shelf.suggest(BOOK, text, 5) == []


class TestPreparing:
    def test_says_what_it_made_and_does_it_once(self, engine):
        assert engine.prepare(BOOK)
        assert engine.prepare(BOOK) == []

    def test_an_index_that_was_never_made_is_unavailable(self, engine):
        with pytest.raises(SearchUnavailable) as caught:
            engine.search(BOOK, Query("anything"))
        assert int(caught.value.headers["Retry-After"]) > 0

    def test_status_tells_what_is_there(self, engine):
        assert not engine.status(BOOK).exists
        engine.prepare(BOOK)
        engine.add(BOOK, [book(1), book(2)])
        status = engine.status(BOOK)
        assert (status.exists, status.documents, status.is_current) == (True, 2, True)
        assert not status.is_building

    def test_answers_a_ping(self, shelf):
        shelf.ping()


class TestWriting:
    def test_a_document_is_found_once_it_is_added(self, shelf):
        shelf.add(BOOK, [book(1, "Green tea")])
        assert find(shelf, "tea") == [1]

    def test_a_document_takes_the_place_of_the_one_with_its_key(self, shelf):
        shelf.add(BOOK, [book(1, "Green tea", tags=["hot"])])
        shelf.add(BOOK, [book(1, "Black coffee", tags=["bitter"])])
        assert find(shelf, "green tea") == []
        assert find(shelf, filter="tag = hot") == []
        assert find(shelf, "coffee", filter="tag = bitter") == [1]
        assert shelf.status(BOOK).documents == 1

    def test_the_last_of_two_with_one_key_in_a_batch_counts(self, shelf):
        shelf.add(BOOK, [book(1, "Green tea"), book(1, "Black coffee")])
        assert (find(shelf, "tea"), find(shelf, "coffee")) == ([], [1])

    def test_a_deleted_document_is_gone(self, shelf):
        shelf.add(BOOK, [book(1, "Green tea", tags=["hot"]), book(2, "Black tea")])
        shelf.delete(BOOK, [1, 99])
        assert find(shelf, "tea") == [2]
        assert find(shelf, filter="tag = hot") == []

    def test_nothing_to_do_is_done(self, shelf):
        shelf.add(BOOK, [])
        shelf.delete(BOOK, [])
        assert shelf.status(BOOK).documents == 0

    def test_stamps_are_keys_and_versions(self, shelf):
        shelf.add(BOOK, [book(number, version=number * 10) for number in range(1, 8)])
        shelf.delete(BOOK, [3])
        expected = {number: number * 10 for number in (1, 2, 4, 5, 6, 7)}
        assert dict(shelf.stamps(BOOK)) == expected

    @pytest.mark.parametrize(
        "document",
        [
            {"title": "no key"},
            {"id": 1, "colour": "red"},
            {"id": 1, "pages": "many"},
            {"id": 1, "tags": [1]},
            {"id": 1, "published_at": datetime(2026, 1, 1)},  # noqa: DTZ001  the naive one is meant
        ],
    )
    def test_what_the_index_does_not_declare_is_refused(self, shelf, document):
        with pytest.raises(SearchMisuse):
            shelf.add(BOOK, [document])


class TestFinding:
    def test_everything_is_found_by_an_empty_text(self, shelf):
        shelf.add(BOOK, [book(1), book(2)])
        for text in ("", "   "):
            assert sorted(find(shelf, text)) == [1, 2]

    def test_title_is_over_tags_is_over_text(self, shelf):
        shelf.add(BOOK, [book(1, "One", "tea"), book(2, "Two", tags=["tea"]), book(3, "Tea")])
        assert find(shelf, "tea") == [3, 2, 1]

    def test_case_and_accents_do_not_matter(self, shelf):
        shelf.add(BOOK, [book(1, "Le Café Crème")])
        assert find(shelf, "CAFE creme ") == [1]

    @pytest.mark.parametrize("typed", ["d", "dat", "databa", "green dat"])
    def test_the_last_word_may_be_unfinished(self, shelf, typed):
        shelf.add(BOOK, [book(1, "A green database")])
        assert find(shelf, typed) == [1]

    @pytest.mark.parametrize(
        "typed", ["framewrk", "datababse", "databxse", "dtaabase", "authenticatoin squ"]
    )
    def test_a_typo_is_forgiven(self, shelf, typed):
        shelf.add(BOOK, [book(1, "Database authentication framework by squares")])
        assert find(shelf, typed) == [1]

    def test_two_typos_are_forgiven_in_long_words(self, shelf):
        shelf.add(BOOK, [book(1, "Authentication")])
        assert find(shelf, "autentictaion ") == [1]

    def test_short_words_have_to_be_right(self, shelf):
        shelf.add(BOOK, [book(1, "Tea")])
        assert find(shelf, "tee ") == []

    def test_synonyms_are_found_the_declared_way(self, shelf):
        shelf.add(BOOK, [book(1, "A database"), book(2, "A db")])
        assert sorted(find(shelf, "db ")) == [1, 2]
        assert find(shelf, "database ") == [1]

    def test_stop_words_need_not_be_there(self, shelf):
        shelf.add(BOOK, [book(1, "Art war")])
        assert find(shelf, "the art of war") == [1]

    def test_quoted_words_follow_one_another(self, shelf):
        shelf.add(BOOK, [book(1, "green hot tea"), book(2, "hot green tea")])
        assert find(shelf, '"green tea"') == [2]

    def test_a_word_that_nobody_has_does_not_hide_the_others(self, shelf):
        shelf.add(BOOK, [book(1, "Green tea of China"), book(2, "Coffee")])
        assert find(shelf, "green tea xylophone ") == [1]

    @pytest.mark.parametrize("typed", ["中文", "分词", "搜索", "全文搜索", "书"])
    def test_chinese_is_found(self, shelf, typed):
        title = "一本关于中文分词与全文搜索的书"
        shelf.add(BOOK, [book(1, title, language="zh"), book(2, "Tea")])
        assert find(shelf, typed) == [1]

    def test_any_part_of_a_chinese_sentence_is_found(self, shelf):
        sentence = "如果不首先处理请求的主体此默认行为也可以防御者试图猜测的登录提示"
        shelf.add(BOOK, [book(1, "茶", text=f"绿茶。{sentence}。", language="zh"), book(2, "行为")])
        parts = [sentence[at : at + size] for size in (2, 3, 4) for at in range(len(sentence) - 3)]
        lost = [part for part in parts if 1 not in find(shelf, f"{part} 绿茶")]
        assert lost == []

    def test_chinese_and_english_mix(self, shelf):
        shelf.add(BOOK, [book(1, "使用FastAPI部署服务", language="zh")])
        assert find(shelf, "fastapi 部署") == [1]

    def test_equals_are_ordered_by_the_ranking(self, shelf):
        day = datetime(2026, 5, 1, tzinfo=UTC)
        books = [book(n, "Tea", published_at=day + timedelta(days=n)) for n in (1, 3, 2)]
        shelf.add(BOOK, books)
        assert find(shelf, "tea") == [3, 2, 1]
        assert find(shelf) == [3, 2, 1]

    def test_documents_are_shown_as_declared(self, shelf):
        given = book(1, "Tea", "hidden", pages=7, price=1.5, lent=True, tags=["a", "b"])
        shelf.add(BOOK, [given])
        shown = shelf.search(BOOK, Query("tea")).hits[0].document
        assert "text" not in shown
        assert dict(shown) == {name: value for name, value in given.items() if name != "text"}

    def test_what_is_absent_is_shown_as_none(self, shelf):
        shelf.add(BOOK, [{"id": 1, "title": "Tea"}])
        shown = shelf.search(BOOK, Query("tea")).hits[0].document
        assert (shown["pages"], shown["published_at"]) == (None, None)

    def test_pages_follow_one_another(self, shelf):
        shelf.add(BOOK, [book(number, "Tea", f"cup {number}") for number in range(1, 8)])
        pages = [find(shelf, "tea", page=page, page_size=3) for page in (1, 2, 3, 4)]
        assert [len(page) for page in pages] == [3, 3, 1, 0]
        assert sorted(number for page in pages for number in page) == list(range(1, 8))
        assert shelf.search(BOOK, Query("tea", page=2, page_size=3)).total == 7

    def test_tells_how_long_it_took(self, shelf):
        assert shelf.search(BOOK, Query("tea")).took_ms >= 0


class TestFiltering:
    @pytest.fixture
    def full(self, shelf: Engine) -> Engine:
        shelf.add(
            BOOK,
            [
                book(1, pages=100, price=9.5, lent=True, tags=["async", "SQL"], language="zh"),
                book(2, pages=200, price=20.0, lent=False, tags=["sql"]),
                book(3, tags=["web, really"], published_at=datetime(2026, 6, 1, tzinfo=UTC)),
                book(4, pages=-5, language="pt-BR"),
            ],
        )
        return shelf

    def test_finds_what_it_says(self, full):
        expected = {
            "language = zh": [1],
            "language = ZH": [1],
            "language != zh": [2, 3, 4],
            "language IN [zh, 'pt-BR']": [1, 4],
            "language NOT IN [zh, en]": [4],
            "language IN []": [],
            "tag = sql": [1, 2],
            "tags = sql": [1, 2],
            "tag != sql": [3, 4],
            "tag IN [async, none]": [1],
            "tag NOT IN [async]": [2, 3, 4],
            'tag = "web, really"': [3],
            "tag EXISTS": [1, 2, 3],
            "tag NOT EXISTS": [4],
            "pages > 100": [2],
            "pages >= 100": [1, 2],
            "pages < 100": [4],
            "pages = -5": [4],
            "pages 100 TO 200": [1, 2],
            "pages EXISTS": [1, 2, 4],
            "pages NOT EXISTS": [3],
            "pages != 100": [2, 3, 4],
            "NOT pages > 100": [1, 3, 4],
            "price <= 9.5": [1],
            "lent = true": [1],
            "lent = false": [2],
            "lent != true": [2, 3, 4],
            "published_at > 2026-01-01": [3],
            "published_at = 2026-01-01T01:00:00+01:00": [1, 2, 4],
            "published_at 2026-05-31 TO 2026-06-01": [3],
            "language = en AND tag = sql OR language = zh": [1, 2],
            "language = en AND (tag = sql OR language = zh)": [2],
            "NOT (language = zh OR language = en)": [4],
            "not language = zh and tag exists": [2, 3],
        }
        filters = {text: parse_filter(BOOK, text) for text in expected}
        assert {text: sorted(find(full, filter=text)) for text in expected} == expected
        totals = {
            text: full.search(BOOK, Query(filter=node)).total for text, node in filters.items()
        }
        assert totals == {text: len(found) for text, found in expected.items()}

    def test_narrows_what_words_find(self, full):
        full.add(BOOK, [book(5, "Tea", language="zh"), book(6, "Tea", language="en")])
        assert find(full, "tea", filter="language = zh") == [5]

    def test_any_text_is_only_a_value(self, full):
        for value in ("'", "\\'", "%", "x' OR 1=1 --", "\x00", "\ud800", "🍵", "]"):
            quoted = '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
            assert find(full, filter=f"language = {quoted}") == [], value


class TestSorting:
    def test_takes_the_place_of_relevance(self, shelf):
        shelf.add(BOOK, [book(1, "Tea", pages=2), book(2, "One", "tea", pages=1)])
        assert find(shelf, "tea", sort=(Order("pages"),)) == [2, 1]
        assert find(shelf, "tea", sort=(Order("pages", descending=True),)) == [1, 2]

    def test_what_has_no_value_comes_last(self, shelf):
        shelf.add(BOOK, [book(1, pages=2), book(2), book(3, pages=1)])
        assert find(shelf, sort=(Order("pages"),)) == [3, 1, 2]
        assert find(shelf, sort=(Order("pages", descending=True),)) == [1, 3, 2]

    def test_the_second_order_decides_between_equals(self, shelf):
        shelf.add(
            BOOK, [book(1, pages=1, price=2.0), book(2, pages=1, price=1.0), book(3, pages=0)]
        )
        assert find(shelf, sort=(Order("pages"), Order("price"))) == [3, 2, 1]


class TestFacets:
    def test_count_everything_that_is_found(self, shelf):
        shelf.add(
            BOOK,
            [
                book(1, "Tea", tags=["a", "b"]),
                book(2, "Tea", tags=["a"], language="zh"),
                book(3, "Coffee", tags=["c"]),
            ],
        )
        result = shelf.search(BOOK, Query("tea", page_size=1, facets=("tags", "language")))
        assert result.facets == {"tag": {"a": 2, "b": 1}, "language": {"en": 1, "zh": 1}}

    def test_count_what_the_filter_lets_through(self, shelf):
        shelf.add(BOOK, [book(1, tags=["a"]), book(2, tags=["b"], language="zh")])
        query = Query(filter=parse_filter(BOOK, "language = zh"), facets=("tags",))
        assert shelf.search(BOOK, query).facets == {"tag": {"b": 1}}

    def test_are_empty_where_nothing_is_found(self, shelf):
        result = shelf.search(BOOK, Query("xylophone", facets=("tags",)))
        assert (result.total, result.facets) == (0, {"tag": {}})


class TestHighlighting:
    def highlight(self, engine: Engine, text: str, name: str = "title") -> str:
        hit = engine.search(BOOK, Query(text, highlight=("title", "text", "tags"))).hits[0]
        return hit.highlight[name]

    def test_marks_whole_words(self, shelf):
        shelf.add(BOOK, [book(1, "Tea and teapots: green tea")])
        assert self.highlight(shelf, "tea ") == (
            "<mark>Tea</mark> and teapots: green <mark>tea</mark>"
        )

    def test_marks_chinese_words(self, shelf):
        shelf.add(BOOK, [book(1, "关于中文的书", language="zh")])
        assert self.highlight(shelf, "中文") == "关于<mark>中文</mark>的书"

    def test_is_safe_html(self, shelf):
        shelf.add(BOOK, [book(1, "<script>tea</script> & \"<mark>\" 'tea'")])
        marked = self.highlight(shelf, "tea ")
        assert "<script>" not in marked
        assert marked.count(MARK) == 2
        assert "&lt;mark&gt;" in marked

    def test_shows_the_part_of_a_long_text_where_the_words_are(self, shelf):
        text = "water " * 400 + "a green tea from china " + "water " * 400
        shelf.add(BOOK, [book(1, "One", text)])
        marked = self.highlight(shelf, "green china", "text")
        assert "<mark>green</mark> tea from <mark>china</mark>" in marked
        assert len(marked) < 400

    def test_leaves_out_what_has_no_text(self, shelf):
        shelf.add(BOOK, [book(1, "Tea")])
        hit = shelf.search(BOOK, Query("tea", highlight=("title", "text"))).hits[0]
        assert set(hit.highlight) == {"title"}


class TestSuggesting:
    def test_offers_texts_that_go_on_so(self, shelf):
        shelf.add(BOOK, [book(1, "Database design"), book(2, "Tea", "database")])
        found = shelf.suggest(BOOK, "datab", 5)
        assert [(s.text, s.document["id"]) for s in found] == [("Database design", 1)]
        assert found[0].highlight.startswith("<mark>Datab")

    def test_offers_each_text_once(self, shelf):
        shelf.add(BOOK, [book(1, "Green tea"), book(2, "Green tea"), book(3, "Green grass")])
        assert sorted(s.text for s in shelf.suggest(BOOK, "green", 5)) == [
            "Green grass",
            "Green tea",
        ]

    def test_offers_no_more_than_asked_for(self, shelf):
        shelf.add(BOOK, [book(number, f"Tea {number}") for number in range(9)])
        assert len(shelf.suggest(BOOK, "tea", 4)) == 4

    def test_offers_chinese_by_its_first_character(self, shelf):
        shelf.add(BOOK, [book(1, "数据库设计", language="zh")])
        assert [s.text for s in shelf.suggest(BOOK, "数", 5)] == ["数据库设计"]


class TestRebuilding:
    def test_takes_the_place_of_what_was_there(self, shelf):
        shelf.add(BOOK, [book(1, "Old tea")])
        assert shelf.rebuild(BOOK, [[book(2, "New tea")], [book(3, "Newer tea")]]) == 2
        assert sorted(find(shelf, "tea")) == [2, 3]

    def test_makes_an_index_that_is_missing(self, engine):
        assert engine.rebuild(BOOK, [[book(1, "Tea")]]) == 1
        assert find(engine, "tea") == [1]

    def test_makes_an_empty_index(self, engine):
        assert engine.rebuild(BOOK, []) == 0
        assert find(engine) == []

    def test_nobody_sees_half_of_it(self, shelf):
        shelf.add(BOOK, [book(number, "Tea") for number in range(20)])
        seen = []

        def batches():
            for start in range(0, 20, 5):
                yield [book(number, "Tea") for number in range(start, start + 5)]
                seen.append(
                    (shelf.search(BOOK, Query("tea")).total, shelf.status(BOOK).is_building)
                )

        shelf.rebuild(BOOK, batches())
        assert seen == [(20, True)] * 4
        assert not shelf.status(BOOK).is_building

    def test_if_it_fails_the_old_index_stays(self, shelf):
        shelf.add(BOOK, [book(1, "Tea")])

        def batches():
            yield [book(2, "Tea")]
            raise RuntimeError("the database has gone")

        with pytest.raises(RuntimeError):
            shelf.rebuild(BOOK, batches())
        assert find(shelf, "tea") == [1]
        assert not shelf.status(BOOK).is_building

    def test_searches_go_on_while_it_runs(self, shelf):
        """No search fails, and each sees the old documents or the new ones, all of them."""
        shelf.add(BOOK, [book(number, "Tea") for number in range(50)])
        stop, totals, errors = threading.Event(), set(), []

        def search():
            while not stop.is_set():
                try:
                    totals.add(shelf.search(BOOK, Query("tea")).total)
                except SearchUnavailable as error:
                    errors.append(error)

        threads = [threading.Thread(target=search) for _ in range(2)]
        for thread in threads:
            thread.start()
        for _ in range(3):
            shelf.rebuild(
                BOOK, ([book(n, "Tea") for n in range(s, s + 10)] for s in range(0, 80, 10))
            )
            shelf.rebuild(
                BOOK, ([book(n, "Tea") for n in range(s, s + 10)] for s in range(0, 50, 10))
            )
        stop.set()
        for thread in threads:
            thread.join()
        assert not errors
        assert totals <= {50, 80}
