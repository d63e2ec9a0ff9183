"""What only the tantivy engine can be asked: hostile texts, files, processes, old structures."""

from __future__ import annotations

import errno
import multiprocessing
import os
import random
import resource
import shutil
import signal
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from strongback.search import Attribute, BadFilter, Order, Query, SearchUnavailable, parse_filter
from strongback.search.tantivy import TantivyEngine
from tests.strongback.search.conftest import BOOK, book

PIECES = [
    *("tea", "databxse", "NEAR", "NEAR(", "AND", "OR", "NOT", "w_title", "text", "content", "key"),
    *('"', "'", "*", "^", "(", ")", "{", "}", ":", "-", "+", ",", ";", "--", "/*", "%", "\\"),
    *("\0", "\ud800", "\ufffd", "\u200b", "\u0301", "😀", "中", "中文", "的", "ﬁ", "ß", "İ", "हि"),
    *("a" * 10_000, "中" * 10_000, '"' * 500, "(" * 500, "x " * 5_000, "\n", "\t", " "),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of the index."""
    return tmp_path / "var" / "search" / BOOK.name


@pytest.fixture
def engine(tantivy_engine: TantivyEngine) -> TantivyEngine:
    tantivy_engine.prepare(BOOK)
    tantivy_engine.add(BOOK, [book(1, "Database tea", "a green tea"), book(2, "中文的书")])
    return tantivy_engine


def live(folder: Path) -> Path:
    """The folder that is searched."""
    return (folder / "live").resolve()


def find(engine: TantivyEngine, text: str = "") -> list[int]:
    return [hit.document["id"] for hit in engine.search(BOOK, Query(text)).hits]


def test_no_text_is_an_error(engine, is_long):
    chance = random.Random(7)
    for _ in range(600 if is_long else 100):
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


class TestOrder:
    def test_documents_behind_the_best_are_each_found_once(self, engine):
        """The order of the best is refined; paging must neither skip nor repeat what follows."""
        books = [book(n, "Tea" if n % 7 == 0 else "One", "tea " * (1 + n % 5)) for n in range(700)]
        engine.rebuild(BOOK, [books])
        pages = [
            engine.search(BOOK, Query("tea ", page=page, page_size=100)).hits
            for page in range(1, 8)
        ]
        numbers = [hit.document["id"] for hits in pages for hit in hits]
        assert sorted(numbers) == list(range(700))
        assert all(number % 7 == 0 for number in numbers[:100])

    def test_what_is_found_by_a_similar_word_stands_behind_what_has_the_word(self, engine):
        books = [book(n, "Databases" if n % 2 else "One", "a database" * (n % 2)) for n in range(8)]
        more = [book(n, "Databose", "databose " * 9) for n in range(8, 20)]
        engine.rebuild(BOOK, [[*books, *more]])
        found = find(engine, "database ")
        assert sorted(found[:4]) == [1, 3, 5, 7]
        assert len(found) == 16

    def test_words_near_one_another_count(self, engine):
        far = "green water " + "water " * 20 + "tea"
        books = [book(n, "One", far if n == 1 else "green tea " + "water " * 20) for n in (1, 2)]
        engine.rebuild(BOOK, [books])
        assert find(engine, "green tea ") == [2, 1]

    def test_a_whole_title_stands_before_a_part_of_one(self, engine):
        titles = ["Tea and coffee", "Green tea leaves", "Tea", "Tea leaves"]
        engine.rebuild(BOOK, [[book(n, title) for n, title in enumerate(titles)]])
        assert find(engine, "tea")[0] == 2
        assert find(engine, "tea leav")[0] == 3

    @pytest.mark.parametrize("descending", [False, True])
    def test_several_orders_are_kept_over_pages(self, engine, descending):
        books = [book(n, pages=n % 3, price=float(n % 7)) for n in range(60)]
        engine.rebuild(BOOK, [books])
        sort = (Order("pages", descending), Order("price"))
        pages = [
            engine.search(BOOK, Query(sort=sort, page=n, page_size=7)).hits for n in range(1, 10)
        ]
        found = [(hit.document["pages"], hit.document["price"]) for page in pages for hit in page]
        sign = -1 if descending else 1
        assert found == sorted(found, key=lambda one: (sign * one[0], one[1]))
        assert len({hit.document["id"] for page in pages for hit in page}) == 60


@pytest.mark.parametrize("typed", ["柱", "铁柱", "李铁", "柱漂流"])
def test_a_title_of_words_that_no_dictionary_has_is_suggested(engine, typed):
    engine.add(BOOK, [book(3, "李铁柱漂流"), book(4, "Tea", "李铁柱漂流")])
    assert [suggestion.text for suggestion in engine.suggest(BOOK, typed, 5)] == ["李铁柱漂流"]


def test_a_mistyped_word_has_the_forms_of_the_one_that_was_meant(engine):
    engine.add(BOOK, [book(3, "Providers"), book(4, "A provider")])
    assert set(find(engine, "proviedr ")) == {3, 4}


def test_a_filter_limits_facets(engine):
    tags = [["green"], ["green", "black"], []]
    engine.rebuild(BOOK, [[book(n, "Tea", tags=tags[n % 3]) for n in range(600)]])
    query = Query("tea", facets=("tags", "language"))
    counted = engine.search(BOOK, query).facets
    assert counted == {"tag": {"green": 400, "black": 200}, "language": {"en": 600}}
    counted = engine.search(BOOK, replace(query, filter=parse_filter(BOOK, "tag = black"))).facets
    assert counted["tag"] == {"black": 200, "green": 200}


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

    def test_another_release_has_to_build_it(self, engine, folder):
        """The name of what is searched begins with all that a release and a declaration decide."""
        other = folder / "0123456789abcdef-of-another-release"
        live(folder).rename(other)
        (folder / "live").unlink()
        (folder / "live").symlink_to(other.name)
        status = engine.status(BOOK)
        assert (status.exists, status.is_current) == (True, False)
        engine.rebuild(BOOK, [[book(3, "Tea")]])
        assert engine.status(BOOK).is_current
        assert not other.exists()

    def test_what_only_a_search_looks_at_counts_at_once(self, engine):
        words = replace(BOOK, synonyms={"chai": ("tea",)}, stop_words=frozenset({"please"}))
        assert engine.status(words).is_current
        assert engine.search(words, Query("please chai ")).total == 1

    def test_a_build_that_died_leaves_nothing(self, engine, folder):
        shutil.copytree(live(folder), folder / "0badcafe")
        engine.rebuild(BOOK, [[book(5, "Tea")]])
        assert [path for path in folder.iterdir() if path.is_dir() and not path.is_symlink()] == [
            live(folder)
        ]

    def test_of_two_builds_at_once_the_later_is_refused(self, engine):
        def batches():
            yield [book(1, "Tea")]
            with pytest.raises(SearchUnavailable, match="Another process is building this index"):
                engine.rebuild(BOOK, [[book(2, "Tea")]])
            yield [book(3, "Tea")]

        assert engine.rebuild(BOOK, batches()) == 2
        assert sorted(find(engine, "tea")) == [1, 3]


class TestFolder:
    @pytest.mark.parametrize(
        "name, damage",
        [
            *((name, "torn") for name in ("meta.json", ".term", ".idx", ".store", ".fast")),
            *((name, "foreign") for name in ("meta.json", ".store")),
            *((name, "gone") for name in ("meta.json", ".pos")),
            (".term", "empty"),
        ],
    )
    def test_what_is_torn_or_foreign_is_told_to_every_process_and_built_anew(
        self, engine, folder, name, damage
    ):
        file = next(live(folder).glob(f"*{name}"))
        content = file.read_bytes()
        engine.close()
        if damage == "gone":
            file.unlink()
        else:
            damaged = {"empty": b"", "torn": content[: len(content) // 2]}
            file.write_bytes(damaged.get(damage, b"garbage!" * (len(content) // 8)))
        with pytest.raises(SearchUnavailable):
            engine.search(BOOK, Query("tea"))
        with closing(TantivyEngine(folder.parent)) as other:
            status = other.status(BOOK)
            assert not (status.exists and status.is_current)
            other.rebuild(BOOK, [[book(1, "Tea")]])
            assert other.status(BOOK).is_current
        assert find(engine, "tea") == [1]

    def test_a_file_in_place_of_the_link_has_to_be_built(self, engine, folder):
        (folder / "live").unlink()
        (folder / "live").write_text("of another format")
        with pytest.raises(SearchUnavailable):
            engine.search(BOOK, Query("tea"))
        assert not engine.status(BOOK).exists
        engine.rebuild(BOOK, [[book(1, "Tea")]])
        assert find(engine, "tea") == [1]

    def test_a_link_to_nowhere_has_to_be_built(self, engine, folder):
        shutil.rmtree(live(folder))
        with pytest.raises(SearchUnavailable):
            engine.search(BOOK, Query("tea"))
        assert not engine.status(BOOK).is_current
        engine.rebuild(BOOK, [[book(1, "Tea")]])
        assert find(engine, "tea") == [1]

    def test_damage_while_it_runs_harms_no_reader_and_is_met_by_the_next(self, engine, folder):
        assert find(engine, "tea") == [1]
        for file in live(folder).glob("*.store"):
            replaced = file.with_suffix(".new")
            replaced.write_bytes(b"garbage!" * 100)
            replaced.replace(file)
        assert find(engine, "tea") == [1]
        with closing(TantivyEngine(folder.parent)) as other, pytest.raises(SearchUnavailable):
            other.search(BOOK, Query("tea"))
        assert not engine.status(BOOK).is_current

    def test_a_folder_that_was_deleted_is_noticed(self, engine, folder):
        shutil.rmtree(folder)
        with pytest.raises(SearchUnavailable):
            engine.search(BOOK, Query("tea"))
        assert not engine.status(BOOK).exists
        engine.prepare(BOOK)
        assert find(engine, "tea") == []

    def test_a_folder_that_cannot_be_made_is_unavailable(self, tmp_path):
        (tmp_path / "var").write_text("a file")
        engine = TantivyEngine(tmp_path / "var" / "search")
        for call in (engine.ping, lambda: engine.prepare(BOOK), lambda: engine.rebuild(BOOK, [])):
            with pytest.raises(SearchUnavailable):
                call()

    def test_a_failed_write_leaves_nothing_behind(self, engine, full_disk):
        with full_disk, pytest.raises(SearchUnavailable) as caught:
            engine.add(BOOK, [book(n, "Tea", f"word{n} " * 500) for n in range(50)])
        assert os.strerror(errno.EFBIG) in caught.value.reason or "writer was killed" in str(
            caught.value.__cause__
        )
        assert find(engine, "tea") == [1]
        engine.add(BOOK, [book(3, "Tea")])
        assert sorted(find(engine, "tea")) == [1, 3]

    def test_a_failed_build_leaves_the_old_index(self, engine, folder, full_disk):
        with full_disk, pytest.raises(SearchUnavailable):
            engine.rebuild(BOOK, [[book(n, "Tea", f"word{n} " * 500) for n in range(50)]])
        assert find(engine, "tea") == [1]
        assert engine.status(BOOK).is_current
        assert [path for path in folder.iterdir() if path.is_dir() and not path.is_symlink()] == [
            live(folder)
        ]

    def test_closing_ends_nothing(self, engine):
        engine.close()
        assert find(engine, "tea") == [1]


class FullDisk:
    """No file can grow beyond a few bytes, as if there were no room."""

    def __enter__(self) -> None:
        self._handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        self._limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, self._limits[1]))

    def __exit__(self, *_: object) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, self._limits)
        signal.signal(signal.SIGXFSZ, self._handler)


@pytest.fixture
def full_disk() -> FullDisk:
    return FullDisk()


class TestProcesses:
    @pytest.mark.usefixtures("starts_processes")
    def test_a_fork_opens_what_it_reads_by_itself(self, engine):
        find(engine, "tea")
        reader, writer = os.pipe()
        child = os.fork()
        if not child:
            os.write(writer, str(find(engine, "tea")).encode())
            os._exit(0)
        os.waitpid(child, 0)
        assert os.read(reader, 100) == b"[1]"

    @pytest.mark.usefixtures("starts_processes")
    def test_processes_share_it(self, engine, folder):
        """Each adds its own documents while the others do, and one builds it anew."""
        context = multiprocessing.get_context("spawn")
        starts = (100, 200)
        workers = [context.Process(target=_add, args=(folder.parent, start)) for start in starts]
        for worker in workers:
            worker.start()
        for number in range(300, 320):
            engine.add(BOOK, [book(number, "Shared")])
        for worker in workers:
            worker.join(60)
        assert [worker.exitcode for worker in workers] == [0, 0]
        assert engine.search(BOOK, Query("shared")).total == 60

    @pytest.mark.usefixtures("starts_processes")
    def test_a_kill_loses_nothing_that_was_written(self, engine, folder, is_long):
        """Whenever a writer is killed, all that it has told of is there, and others go on."""
        context = multiprocessing.get_context("spawn")
        chance = random.Random(5)
        for start in range(1_000, 4_000 if is_long else 2_000, 1_000):
            told = context.Value("i", start)
            worker = context.Process(target=_add_for_ever, args=(folder.parent, start, told))
            worker.start()
            while told.value == start:
                threading.Event().wait(0.01)
            threading.Event().wait(chance.random() / 5)
            worker.kill()
            worker.join(60)
            written = set(find_all(engine))
            assert set(range(start, told.value)) <= written
        engine.add(BOOK, [book(9, "Shared")])
        assert 9 in find_all(engine)


def find_all(engine: TantivyEngine) -> Iterator[int]:
    return (int(key) for key, _ in engine.stamps(BOOK))


def _add(path: Path, start: int) -> None:
    with closing(TantivyEngine(path)) as engine:
        for number in range(start, start + 20):
            engine.add(BOOK, [book(number, "Shared")])
            assert engine.search(BOOK, Query("shared")).total > 0


def _add_for_ever(path: Path, start: int, told) -> None:
    engine = TantivyEngine(path)
    for number in range(start, start + 1_000):
        engine.add(BOOK, [book(number, "Shared")])
        told.value = number + 1
