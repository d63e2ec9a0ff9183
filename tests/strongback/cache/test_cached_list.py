"""Cached lists: outdated all at once, loaded anew once a second at most, each filter by itself."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from strongback.cache import CachedList, CacheMisuse, LocalStorage, Manager, NullStorage
from tests.support.cache import Process, eventually
from tests.support.thread import run_together

LONG = timedelta(hours=1)
"""A lag that does not end while a test runs."""
SHORT = timedelta(milliseconds=1)


class Shelf:
    """A list that counts how often it is read, in a cache."""

    def __init__(
        self,
        cache: Manager,
        *storages: str,
        lag: timedelta = LONG,
        numbers: Iterator[int] | None = None,
    ) -> None:
        self.cache = cache
        self.lists = CachedList(cache, "shelf", int, storages=storages, lag=lag)
        self.numbers = numbers or itertools.count(1)
        self.during_load: Callable[[], object] = lambda: None

    def read(self, group: str = "", *, reload: bool = False) -> int:
        return self.lists.get(group, "page=1", self._load, reload=reload)

    def change(self, *groups: str) -> None:
        self.cache.remove_keys(self.lists.changed_keys(*groups))

    def count(self, *groups: str) -> None:
        self.cache.remove_keys(self.lists.counted_keys(*groups))

    def _load(self) -> int:
        number = next(self.numbers)
        self.during_load()
        return number


@pytest.fixture
def shelf(local_cache: Manager) -> Shelf:
    return Shelf(local_cache, "local")


def test_a_page_is_loaded_once(shelf: Shelf) -> None:
    assert [shelf.read() for _ in range(3)] == [1, 1, 1]


def test_after_a_change_nobody_gets_an_earlier_page(shelf: Shelf) -> None:
    found = []
    for _ in range(3):
        found.append(shelf.read())
        shelf.change("")

    assert found == [1, 2, 3]


def test_a_change_leaves_other_groups_alone(shelf: Shelf) -> None:
    shelf.read("tag:tea")
    shelf.read("tag:coffee")

    shelf.change("tag:tea")

    assert [shelf.read("tag:coffee"), shelf.read("tag:tea")] == [2, 3]


def test_the_first_count_shows_at_once(shelf: Shelf) -> None:
    shelf.read()

    shelf.count("")

    assert shelf.read() == 2


def test_counts_that_follow_are_shown_together(shelf: Shelf) -> None:
    found = []
    for _ in range(5):
        found.append(shelf.read())
        shelf.count("")

    assert found == [1, 2, 2, 2, 2]


def test_what_was_counted_shows_once_the_lag_is_over(local_cache: Manager) -> None:
    shelf = Shelf(local_cache, "local", lag=SHORT)
    found = []
    for _ in range(3):
        found.append(shelf.read())
        shelf.count("")
        time.sleep(0.002)

    assert found == [1, 2, 3]


def test_a_change_does_not_wait_for_the_lag_of_counts(shelf: Shelf) -> None:
    shelf.read()
    shelf.count("")
    shelf.read()

    shelf.change("")

    assert shelf.read() == 3


def test_a_count_reaches_its_groups_alone(shelf: Shelf) -> None:
    shelf.read("tag:tea")
    shelf.read("tag:coffee")

    shelf.count("tag:tea")

    assert [shelf.read("tag:coffee"), shelf.read("tag:tea")] == [2, 3]


def test_a_count_of_no_group_reaches_all(shelf: Shelf) -> None:
    shelf.read("")
    shelf.read("tag:tea")

    shelf.count()

    assert [shelf.read(""), shelf.read("tag:tea")] == [3, 4]


def test_what_is_counted_during_a_load_is_shown_by_the_next(shelf: Shelf) -> None:
    shelf.during_load = lambda: shelf.count("")
    shelf.read()
    shelf.during_load = lambda: None

    assert shelf.read() == 2


def test_readers_get_the_earlier_page_while_one_loads(shelf: Shelf) -> None:
    shelf.read()
    shelf.count("")
    seen: list[int] = []

    def read_meanwhile() -> None:
        seen.extend(run_together(*[shelf.read] * 5))

    shelf.during_load = read_meanwhile

    assert shelf.read() == 2
    assert seen == [1] * 5


def test_a_page_serves_on_when_loading_a_newer_one_fails(shelf: Shelf) -> None:
    def fail() -> None:
        raise ConnectionError

    shelf.read()
    shelf.count("")
    shelf.during_load = fail

    assert shelf.read() == 1


def test_a_page_is_loaded_whatever_is_kept_where_that_is_asked_for(shelf: Shelf) -> None:
    shelf.read()

    assert [shelf.read(reload=True), shelf.read()] == [2, 2]


def test_a_storage_that_keeps_nothing_is_asked_in_vain() -> None:
    cache = Manager()
    cache.register_storage("none", NullStorage())
    shelf = Shelf(cache, "none")

    assert [shelf.read(), shelf.read()] == [1, 2]


def test_a_list_that_cannot_work_is_refused_when_it_is_declared() -> None:
    cache = Manager()
    cache.register_storage("local", LocalStorage(10))

    with pytest.raises(CacheMisuse, match="no storage is registered as 'redis'"):
        CachedList(cache, "shelf", int, storages=["redis"])


class TestSeveralProcesses:
    @pytest.fixture
    def shelves(self, processes: Callable[[], Process]) -> list[Shelf]:
        shelves, numbers = [], itertools.count(1)
        for process in (processes(), processes()):
            process.remote.await_channel()
            shelves.append(Shelf(process.cache, "local", "redis", numbers=numbers))
        return shelves

    def test_what_is_counted_is_loaded_once_in_all(self, shelves: list[Shelf]) -> None:
        one, two = shelves
        assert [one.read(), two.read()] == [1, 1]

        for _ in range(10):
            one.count("")
            assert eventually(lambda: two.read() == 2)
            assert one.read() == 2

    def test_strangers_cannot_fill_the_shared_storage(
        self, processes: Callable[[], Process]
    ) -> None:
        process = processes()
        lists = CachedList(process.cache, "shelf", int, storages=["local", "redis"], fills=1)

        for number in range(200):
            lists.get("", f"cursor={number}", partial(int, number))

        count = process.remote.count()
        assert count is not None
        assert 60 <= count < 150  # a minute's worth, and what the test itself takes long for
        assert lists.get("", "cursor=199", lambda: -1) == 199  # the process keeps it

    def test_a_change_is_felt_by_the_others(self, shelves: list[Shelf]) -> None:
        one, two = shelves
        one.read()
        two.read()

        one.change("")
        newer = one.read()

        assert eventually(lambda: two.read() == newer)


def test_pages_come_back_as_their_type(shelf: Shelf) -> None:
    value: Any = shelf.read()

    assert type(value) is int
