"""What an entry is said to take is what it takes."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel

from strongback.cache import CacheMisuse, LocalStorage
from strongback.cache.local_storage import size_of
from strongback.cache.storage import Item

ENTRIES = 1000


class Book(BaseModel):
    title: str
    year: int


@pytest.mark.parametrize(
    "make",
    [
        lambda number: bytes(4000 + number % 7),
        lambda number: f"a name {number}",
        lambda number: Book(title=f"The title {number}", year=number),
        lambda number: (f"mark {number}", 0.5 + number, {"items": [str(number)] * 3}),
    ],
    ids=["bytes", "text", "model", "nested"],
)
def test_the_bytes_that_are_counted_are_those_that_are_allocated(
    make: Callable[[int], Any],
) -> None:
    gc.collect()
    tracemalloc.start()
    storage = LocalStorage(ENTRIES, room=1 << 30)
    before, _ = tracemalloc.get_traced_memory()
    for number in range(ENTRIES):
        storage.set_all({f"book:1:{number}": Item(make(number), 60, 60)})
    taken = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()

    assert 0.95 * taken < storage.engine.used < 1.35 * taken


def test_what_is_referred_to_twice_counts_once() -> None:
    text = "a" * 1000

    assert size_of("k", [(text,), (text,)]) < size_of("k", [("a" * 999,), ("b" * 999,)]) + 200


def test_a_value_that_refers_to_itself_has_an_end() -> None:
    value: list[Any] = []
    value.append(value)

    assert size_of("k", value) > 0


def test_a_storage_takes_no_more_than_its_room() -> None:
    storage = LocalStorage(100_000, room=1_000_000)

    for number in range(1000):
        storage.set_all({str(number): Item(bytes(10_000), 60, 60)})

    assert 900_000 < storage.engine.used <= 1_000_000


def test_a_value_that_would_drive_out_all_others_is_not_kept() -> None:
    storage = LocalStorage(room=100_000)
    storage.set_all({"a": Item(b"old", 60, 60)})

    storage.set_all({"a": Item(bytes(20_000), 60, 60)})

    assert storage.peek("a") is None


def test_no_room_is_refused() -> None:
    with pytest.raises(CacheMisuse, match="room is 0"):
        LocalStorage(room=0)
