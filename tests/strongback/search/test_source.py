"""Keeping an index as its source is; the engine is a real one, the source a dictionary."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from strongback.exceptions import ConfigurationError
from strongback.search import (
    Document,
    Index,
    Key,
    Need,
    Query,
    Search,
    SearchMisuse,
    SearchUnavailable,
)
from strongback.search.source import FEW
from strongback.search.tantivy import TantivyEngine
from tests.strongback.search.conftest import BOOK, book


@dataclass
class Shelf:
    """Books by number."""

    index: Index = BOOK
    books: dict[Key, dict[str, Any]] = field(default_factory=dict)
    after_batch: Callable[[], object] = lambda: None

    def put(self, number: int, title: str, version: int = 1) -> None:
        self.books[number] = book(number, title, version=version)

    def count(self) -> int:
        return len(self.books)

    def batches(self, size: int) -> Iterator[Sequence[Document]]:
        numbers = list(self.books)
        for start in range(0, len(numbers), size):
            yield [self.books[number] for number in numbers[start : start + size]]
            self.after_batch()

    def stamps(self) -> Iterator[tuple[Key, Any]]:
        return ((number, book["version"]) for number, book in self.books.items())

    def read(self, keys: Sequence[Key]) -> list[Document]:
        return [self.books[key] for key in keys if key in self.books]


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def search(tantivy_engine: TantivyEngine, shelf: Shelf) -> Search:
    return Search(tantivy_engine, [shelf])


def find(search: Search, text: str = "") -> list[int]:
    return sorted(hit.document["id"] for hit in search.find(BOOK, Query(text)).hits)


class OtherShelf(Shelf):
    """Books of another slice."""


def test_two_indexes_of_one_name_are_refused_with_both_sources(search):
    with pytest.raises(ConfigurationError, match=r"index book: .*\.Shelf has it, .*\.OtherShelf"):
        search.add(OtherShelf())


class TestUpdating:
    def test_reads_again_what_was_written_and_deletes_what_is_gone(self, search, shelf):
        shelf.put(1, "Tea")
        shelf.put(2, "Coffee")
        search.update("book", [1, 2, 2, 3])
        assert find(search) == [1, 2]
        shelf.put(1, "Water", 2)
        del shelf.books[2]
        search.update("book", [1, 2])
        assert (find(search), find(search, "water")) == ([1], [1])

    def test_makes_an_index_that_is_missing(self, search, shelf, tantivy_engine):
        search.update("book", [])
        assert tantivy_engine.status(BOOK).exists

    def test_many_are_done_in_batches(self, search, shelf):
        for number in range(1_203):
            shelf.put(number, "Tea")
        search.update("book", range(1_203))
        assert search.find(BOOK, Query("tea")).total == 1_203

    def test_an_index_that_nobody_declared_is_a_defect(self, search):
        with pytest.raises(SearchMisuse, match="there are: book"):
            search.update("shop", [1])


class TestReindexing:
    def test_reports_how_far_it_is(self, search, shelf):
        for number in range(1_100):
            shelf.put(number, "Tea")
        steps: list[int] = []
        assert search.reindex("book", steps.append) == 1_100
        assert sum(steps) == 1_100
        assert len(steps) == 3

    def test_what_changes_unnoticed_while_it_reads_is_right_afterwards(self, search, shelf):
        """Whoever told of the change told the old index, or is yet to tell."""
        for number in range(501):
            shelf.put(number, "Tea")

        def change() -> None:
            shelf.put(0, "Coffee", 2)
            shelf.books.pop(1, None)
            shelf.put(501, "Coffee")

        shelf.after_batch = change
        search.reindex("book")
        assert find(search, "coffee") == [0, 501]
        assert not search.check("book")

    def test_what_is_written_to_the_old_index_meanwhile_is_in_the_new_one(self, search, shelf):
        """Whoever writes knows nothing of the build; what it misses is repaired in the end."""
        for number in range(501):
            shelf.put(number, "Tea")
        search.reindex("book")

        def change() -> None:
            shelf.after_batch = lambda: None
            shelf.put(0, "Coffee", 2)
            shelf.put(501, "Coffee")
            del shelf.books[1]
            search.update("book", [0, 1, 501])
            assert find(search, "coffee") == [0, 501]

        shelf.after_batch = change
        search.reindex("book")
        assert find(search, "coffee") == [0, 501]
        assert search.find(BOOK, Query("tea")).total == 499


class TestRepairing:
    @pytest.fixture
    def differing(self, search: Search, shelf: Shelf) -> Search:
        for number in (1, 2, 3):
            shelf.put(number, "Tea")
        search.reindex("book")
        shelf.put(2, "Coffee", 2)
        shelf.put(4, "Coffee")
        del shelf.books[3]
        return search

    def test_tells_what_differs(self, differing):
        difference = differing.check("book")
        assert (difference.missing, difference.outdated, difference.surplus) == ((4,), (2,), (3,))
        assert len(difference) == 3

    def test_mends_it(self, differing):
        steps: list[int] = []
        assert len(differing.repair("book", steps.append)) == 3
        assert sum(steps) == 3
        assert not differing.check("book")
        assert (find(differing, "coffee"), find(differing, "tea")) == ([2, 4], [1])

    def test_maintaining_mends_it_too(self, differing):
        differing.maintain("book")
        assert not differing.check("book")


class TestMaintaining:
    def test_builds_an_index_that_was_never_made(self, search, shelf):
        shelf.put(1, "Tea")
        search.maintain("book")
        assert find(search, "tea") == [1]

    def test_builds_an_index_that_is_not_as_declared(self, search, shelf, tantivy_engine):
        shelf.put(1, "Tea")
        search.reindex("book")
        shelf.index = replace(BOOK, attributes=BOOK.attributes[:-1], version=None)
        newer = Search(tantivy_engine, [shelf])
        del shelf.books[1]["version"]
        with pytest.raises(SearchUnavailable):
            newer.find(shelf.index, Query("tea"))
        shelf.stamps = lambda: iter([(1, None)])
        newer.maintain("book")
        assert newer.find(shelf.index, Query("tea")).total == 1


class TestNeed:
    def test_is_to_build_what_is_missing_or_was_made_by_a_search(self, search, shelf):
        shelf.put(1, "Tea")
        assert search.need("book") is Need.BUILD
        assert find(search, "tea") == []
        assert search.need("book") is Need.BUILD
        search.reindex("book")
        assert search.need("book") is Need.NOTHING

    def test_is_nothing_without_anything_to_find(self, search):
        find(search, "tea")
        assert search.need("book") is Need.NOTHING

    def test_is_to_build_what_is_damaged_or_gone(self, search, shelf, tmp_path):
        folder = tmp_path / "var" / "search" / "book"
        shelf.put(1, "Tea")
        search.reindex("book")
        (folder / "live" / "meta.json").write_text("garbage")
        assert search.need("book") is Need.BUILD
        search.reindex("book")
        assert search.need("book") is Need.NOTHING
        shutil.rmtree(folder)
        assert search.need("book") is Need.BUILD

    def test_is_asked_for_without_counting_every_document(self, search, shelf):
        """It is asked every few seconds, and there may be a million."""
        for number in range(FEW + 1):
            shelf.put(number, "Tea")
        search.reindex("book")
        shelf.count = None  # is not asked while the index has more than a few
        assert search.need("book") is Need.NOTHING
