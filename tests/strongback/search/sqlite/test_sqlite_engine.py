"""What only the SQLite engine can be asked: hostile texts, files, processes, old structures."""

from __future__ import annotations

import multiprocessing
import random
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from strongback.search import Attribute, BadFilter, Query, SearchUnavailable, parse_filter
from strongback.search.sqlite import SQLiteEngine
from strongback.search.sqlite.engine import _live
from tests.strongback.search.conftest import BOOK, book

PIECES = [
    *("tea", "databxse", "NEAR", "NEAR(", "AND", "OR", "NOT", "a_title", "parts", "rowid", "rank"),
    *('"', "'", "*", "^", "(", ")", "{", "}", ":", "-", "+", ",", ";", "--", "/*", "%", "\\"),
    *("\0", "\ud800", "\ufffd", "\u200b", "\u0301", "😀", "中", "中文", "的", "ﬁ", "ß", "İ", "हि"),
    *("a" * 10_000, "中" * 10_000, '"' * 500, "(" * 500, "x " * 5_000, "\n", "\t", " "),
]


@pytest.fixture
def engine(sqlite_engine: SQLiteEngine) -> SQLiteEngine:
    sqlite_engine.prepare(BOOK)
    sqlite_engine.add(BOOK, [book(1, "Database tea", "a green tea"), book(2, "中文的书")])
    return sqlite_engine


def test_no_text_is_an_error(engine):
    chance = random.Random(7)
    for _ in range(1_500):
        text = chance.choice(["", " "]).join(chance.choices(PIECES, k=chance.randrange(1, 6)))
        result = engine.search(BOOK, Query(text, highlight=("title", "text"), facets=("tags",)))
        assert result.total >= len(result.hits)
        engine.suggest(BOOK, text, 5)


def test_no_filter_that_is_read_is_an_error(engine):
    chance = random.Random(8)
    names = [attribute.label for attribute in BOOK.filterable]
    operators = ["=", "!=", "<", ">=", "IN [", "NOT IN [", "EXISTS", "TO", "AND", "OR", "NOT", "]"]
    values = ["1", "true", "2026-01-01", "'\0'", "\ud800", "9" * 18, "1e308", "''", "(", ")"]
    read = 0
    for _ in range(4_000):
        text = " ".join(
            chance.choice(choice) for choice in [names, operators, values, operators] * 2
        )
        try:
            node = parse_filter(BOOK, text[: chance.randrange(5, len(text))])
        except BadFilter:
            continue
        read += 1
        engine.search(BOOK, Query("tea", filter=node))
    assert read > 50


def test_any_document_can_be_kept(engine):
    text = "".join(piece[:50] for piece in PIECES)
    engine.add(BOOK, [book(9, text or "x", text, tags=[text])])
    hit = engine.search(BOOK, Query("databxse 中文", highlight=("text",))).hits[0]
    assert hit.document["id"] in {1, 2, 9}


def test_a_page_far_behind_the_end_is_empty(engine):
    result = engine.search(BOOK, Query("tea", page=100_000, page_size=100))
    assert (result.hits, result.total) == ([], 1)


def test_documents_behind_the_ranked_ones_are_each_found_once(sqlite_engine):
    """The order of the best is refined; paging must neither skip nor repeat what follows."""
    sqlite_engine.prepare(BOOK)
    books = [book(n, "Tea" if n % 7 == 0 else "One", "tea " * (1 + n % 5)) for n in range(700)]
    sqlite_engine.add(BOOK, books)
    pages = [
        sqlite_engine.search(BOOK, Query("tea ", page=page, page_size=100)).hits
        for page in range(1, 8)
    ]
    numbers = [hit.document["id"] for hits in pages for hit in hits]
    assert sorted(numbers) == list(range(700))
    assert all(number % 7 == 0 for number in numbers[:100])


@pytest.mark.parametrize("typed", ["柱", "铁柱", "李铁", "柱漂流"])
def test_a_title_of_words_that_no_dictionary_has_is_suggested(engine, typed):
    engine.add(BOOK, [book(3, "李铁柱漂流"), book(4, "Tea", "李铁柱漂流")])
    assert [suggestion.text for suggestion in engine.suggest(BOOK, typed, 5)] == ["李铁柱漂流"]


def test_a_mistyped_word_has_the_forms_of_the_one_that_was_meant(engine):
    engine.add(BOOK, [book(3, "Providers"), book(4, "A provider")])
    assert {hit.document["id"] for hit in engine.search(BOOK, Query("proviedr ")).hits} == {3, 4}


class TestFacets:
    """Of many documents they are counted from memory, which has to be as the file is."""

    QUERY = Query("tea", facets=("tags", "language"))

    @pytest.fixture
    def many(self, engine: SQLiteEngine) -> SQLiteEngine:
        tags = [["green"], ["green", "black"], []]
        found = [book(n, "Tea", tags=tags[n % 3], language="en") for n in range(10, 610)]
        engine.rebuild(BOOK, [found])
        return engine

    def test_counts_are_those_of_the_rows(self, many):
        counted = many.search(BOOK, self.QUERY).facets
        assert counted == {"tag": {"green": 400, "black": 200}, "language": {"en": 600}}

    def test_a_write_of_another_process_counts_at_once(self, many, tmp_path):
        many.search(BOOK, self.QUERY)
        other = SQLiteEngine(tmp_path / "var" / "search.db")
        other.add(BOOK, [book(10, "Tea", tags=["white"], language="zh")])
        other.delete(BOOK, [11])
        other.close()
        counted = many.search(BOOK, self.QUERY).facets
        assert counted["language"] == {"en": 598, "zh": 1}
        assert counted["tag"]["white"] == 1

    def test_a_file_made_anew_is_not_taken_for_the_old(self, many):
        many.search(BOOK, self.QUERY)
        many.close()
        many._file.path.unlink()
        many.rebuild(BOOK, [[book(n, "Tea", language="zh") for n in range(10, 610)]])
        assert many.search(BOOK, self.QUERY).facets["language"] == {"zh": 600}

    def test_a_filter_limits_them(self, many):
        query = replace(self.QUERY, filter=parse_filter(BOOK, "tag = green"))
        assert many.search(BOOK, query).facets["tag"] == {"green": 400, "black": 200}
        query = replace(query, filter=parse_filter(BOOK, "tag = black"))
        assert many.search(BOOK, query).facets["tag"] == {"black": 200, "green": 200}


def test_a_common_word_is_found_in_titles_first_and_every_page_goes_on(engine):
    engine.rebuild(
        BOOK,
        [[book(n, "Tea" if n % 7 == 0 else "Cup", "tea " * (1 + n % 5)) for n in range(1, 401)]],
    )
    pages = [engine.search(BOOK, Query("tea", page=n, page_size=50)).hits for n in range(1, 9)]
    found = [hit.document["title"] for page in pages for hit in page]
    assert found == ["Tea"] * 57 + ["Cup"] * 343
    assert len({hit.document["id"] for page in pages for hit in page}) == 400


class TestStructure:
    def test_another_structure_has_to_be_built(self, engine):
        more = replace(BOOK, attributes=(*BOOK.attributes, Attribute("shelf", filterable=True)))
        assert not engine.status(more).is_current
        with pytest.raises(SearchUnavailable):
            engine.search(more, Query("tea"))
        with pytest.raises(SearchUnavailable):
            engine.add(more, [book(3)])
        engine.rebuild(more, [[book(3, "Tea")]])
        assert engine.status(more).is_current
        assert engine.search(more, Query("tea")).total == 1

    def test_what_only_a_search_looks_at_counts_at_once(self, engine):
        words = replace(BOOK, synonyms={"chai": ("tea",)}, stop_words=frozenset({"please"}))
        assert engine.status(words).is_current
        assert engine.search(words, Query("please chai ")).total == 1

    def test_a_build_that_died_leaves_nothing(self, engine, tmp_path):
        engine._begin(BOOK)
        assert engine.status(BOOK).is_building
        engine.rebuild(BOOK, [[book(5, "Tea")]])
        with sqlite3.connect(tmp_path / "var" / "search.db") as db:
            tables = db.execute("SELECT name FROM sqlite_schema WHERE name GLOB 'g[0-9]*_text'")
            assert len(tables.fetchall()) == 1
            assert db.execute("SELECT count(*) FROM generation").fetchone() == (1,)
        db.close()

    def test_of_two_builds_the_later_wins(self, engine):
        def batches():
            yield [book(1, "Tea")]
            engine.rebuild(BOOK, [[book(2, "Tea")]])
            yield [book(3, "Tea")]

        with pytest.raises(SearchUnavailable):
            engine.rebuild(BOOK, batches())
        assert [hit.document["id"] for hit in engine.search(BOOK, Query("tea")).hits] == [2]

    def test_nothing_is_noted_once_the_build_is_over(self, engine):
        engine.rebuild(BOOK, [[book(1, "Tea")]])
        engine.add(BOOK, [book(2, "Tea")])
        with engine._file.read() as db:
            touched = _live(db, BOOK).touched
            # The name of the engine's own table.
            assert db.execute(f"SELECT count(*) FROM {touched}").fetchone() == (0,)  # noqa: S608


class TestFile:
    def test_a_file_that_is_none_is_unavailable(self, tmp_path):
        path = tmp_path / "search.db"
        path.write_bytes(b"this is no database" * 1000)
        engine = SQLiteEngine(path)
        for call in (
            lambda: engine.search(BOOK, Query("tea")),
            lambda: engine.prepare(BOOK),
            engine.ping,
        ):
            with pytest.raises(SearchUnavailable):
                call()

    def test_building_anew_replaces_a_file_that_is_damaged(self, tmp_path):
        path = tmp_path / "search.db"
        path.write_bytes(b"this is no database" * 1000)
        with closing(SQLiteEngine(path)) as engine:
            assert not engine.status(BOOK).is_current
            engine.rebuild(BOOK, [[book(1, "Tea")]])
            assert engine.search(BOOK, Query("tea")).total == 1

    @pytest.mark.parametrize("start", [0, 4096], ids=["all", "all but the first page"])
    def test_damage_while_it_runs_is_told_to_every_process_and_mended(self, engine, start):
        """Open connections remember pages of the file as it was."""
        with closing(sqlite3.connect(engine._file.path)) as other:
            other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        engine._file.close()
        size = engine._file.path.stat().st_size
        with engine._file.path.open("r+b") as file:
            file.seek(start)
            file.write(b"garbage!" * ((size - start) // 8))
        with pytest.raises(SearchUnavailable):
            engine.search(BOOK, Query("tea"))
        assert not SQLiteEngine(engine._file.path).glance(BOOK, 1).is_current
        engine.rebuild(BOOK, [[book(1, "Tea")]])
        assert engine.glance(BOOK, 1).is_current
        assert engine.search(BOOK, Query("tea")).total == 1

    @pytest.mark.parametrize("end", ["document", "row", "value", "text", "touched", "term", "typo"])
    def test_a_table_that_is_gone_is_damage_which_building_anew_mends(self, engine, end):
        with engine._file.write() as db:
            number = _live(db, BOOK).number
            db.execute(f"DROP TABLE g{number}_{end}")
        status = engine.status(BOOK)
        assert not status.is_current
        assert "no such table" in status.differences[0]
        engine.rebuild(BOOK, [[book(1, "Tea")]])
        assert engine.search(BOOK, Query("tea")).total == 1

    def test_a_database_of_something_else_becomes_one_of_indexes(self, tmp_path):
        path = tmp_path / "search.db"
        with closing(sqlite3.connect(path)) as other:
            other.execute("CREATE TABLE thing (id INTEGER)")
        with closing(SQLiteEngine(path)) as engine:
            assert not engine.status(BOOK).exists
            engine.rebuild(BOOK, [[book(1, "Tea")]])
            assert engine.search(BOOK, Query("tea")).total == 1

    def test_a_file_that_was_replaced_is_noticed(self, engine, tmp_path):
        engine._file.path.rename(tmp_path / "old.db")
        with pytest.raises(SearchUnavailable):
            engine.search(BOOK, Query("tea"))
        engine.prepare(BOOK)
        assert engine.search(BOOK, Query("tea")).total == 0

    @pytest.mark.parametrize("table", ["row", "text"])
    def test_a_document_that_has_lost_a_row_is_none(self, engine, table):
        with engine._file.write() as db:
            name = getattr(_live(db, BOOK), table)
            # The name of the engine's own table.
            db.execute(f"DELETE FROM {name} WHERE rowid = 1")  # noqa: S608
        assert [key for key, _ in engine.stamps(BOOK)] == [2]

    def test_rows_of_no_document_hurt_nobody_until_they_are_gone(self, engine):
        with engine._file.write() as db:
            # The name of the engine's own table.
            db.execute(f"DELETE FROM {_live(db, BOOK).document} WHERE id = 1")  # noqa: S608
        assert [hit.document["id"] for hit in engine.search(BOOK, Query()).hits] == [2]
        assert engine.status(BOOK).differences == ("2 rows belong to no document",)
        assert not engine.status(BOOK).is_current

    def test_a_folder_that_cannot_be_made_is_unavailable(self, tmp_path):
        (tmp_path / "var").write_text("a file")
        with pytest.raises(SearchUnavailable):
            SQLiteEngine(tmp_path / "var" / "search.db").ping()

    def test_a_failed_write_leaves_nothing_behind(self, engine):
        with pytest.raises(SearchUnavailable):
            _fail_halfway(engine)
        assert engine.search(BOOK, Query("tea")).total == 1

    def test_closing_ends_nothing(self, engine):
        engine.close()
        assert engine.search(BOOK, Query("tea")).total == 1

    @pytest.mark.usefixtures("starts_processes")
    def test_processes_share_it(self, engine, tmp_path):
        """Each adds its own documents while the others do; a forked one uses no handle of ours."""
        path = tmp_path / "var" / "search.db"
        context = multiprocessing.get_context("spawn")
        workers = [context.Process(target=_add, args=(path, start)) for start in (100, 200)]
        for worker in workers:
            worker.start()
        for number in range(300, 320):
            engine.add(BOOK, [book(number, "Shared")])
        for worker in workers:
            worker.join(60)
        assert [worker.exitcode for worker in workers] == [0, 0]
        assert engine.search(BOOK, Query("shared")).total == 60


def _fail_halfway(engine: SQLiteEngine) -> None:
    with engine._file.write() as db:
        db.execute("DELETE FROM generation")
        db.execute("SELECT nonsense")


def _add(path: Path, start: int) -> None:
    engine = SQLiteEngine(path)
    for number in range(start, start + 20):
        engine.add(BOOK, [book(number, "Shared")])
        assert engine.search(BOOK, Query("shared")).total > 0
    engine.close()
