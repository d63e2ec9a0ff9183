"""The engine holds what is worth holding, in bounds, whoever writes at the same time."""

from __future__ import annotations

import random

from strongback.cache.s3_fifo import Entry, S3Fifo
from tests.support.thread import run_together


def put(engine: S3Fifo, key: str, value: object = None) -> None:
    engine.set(Entry(key, value, 1.0, 1.0, 1.0))


def use(engine: S3Fifo, key: str) -> bool:
    entry = engine.get(key)
    if entry is not None:
        entry.uses += entry.uses < 3
    return entry is not None


def test_holds_no_more_than_its_size() -> None:
    engine = S3Fifo(100)

    for number in range(10_000):
        put(engine, str(number))

    assert len(engine) == 100


def test_a_scan_does_not_empty_it() -> None:
    engine = S3Fifo(100)
    for _ in range(5):
        for number in range(50):
            if not use(engine, f"hot-{number}"):
                put(engine, f"hot-{number}")

    for number in range(10_000):
        put(engine, f"scan-{number}")

    assert sum(use(engine, f"hot-{number}") for number in range(50)) > 40


def test_old_favourites_make_room_for_new_ones() -> None:
    engine = S3Fifo(100)
    for era in range(3):
        hits = 0
        for turn in range(20):
            for number in range(100):
                key = f"{era}-{number}"
                hits += use(engine, key) and turn == 19
                if engine.get(key) is None:
                    put(engine, key)
        assert hits > 60


def test_replacing_keeps_one_entry() -> None:
    engine = S3Fifo(10)
    put(engine, "a", 1)
    put(engine, "a", 2)

    entry = engine.get("a")
    assert entry is not None
    assert (entry.value, len(engine)) == (2, 1)


def test_removed_entries_leave_nothing_that_grows() -> None:
    engine = S3Fifo(1000)

    for number in range(20_000):
        put(engine, str(number % 10))
        engine.remove(str(number % 10))

    assert len(engine) == 0
    assert len(engine._small) + len(engine._main) < 100
    assert len(engine._ghosts) <= 1000


def test_threads_keep_it_whole() -> None:
    engine = S3Fifo(200)

    def work(seed: int) -> None:
        dice = random.Random(seed)
        for _ in range(5000):
            key = str(dice.randrange(600))
            if dice.random() < 0.1:
                engine.remove(key)
            elif not use(engine, key):
                put(engine, key)

    run_together(*[lambda seed=seed: work(seed) for seed in range(6)])
    put(engine, "last")

    assert len(engine) <= 206
    queued = {entry.key for entry in (*engine._small, *engine._main)}
    assert {entry.key for entry in engine.entries()} <= queued


def put_sized(engine: S3Fifo, key: str, size: int) -> None:
    engine.set(Entry(key, None, 1.0, 1.0, 1.0, size))


def test_holds_no_more_than_it_has_room_for() -> None:
    engine = S3Fifo(1000, room=500)

    for number in range(300):
        put_sized(engine, str(number), 1 + number % 50)

    assert 400 < engine.used <= 500


def test_counts_what_is_replaced_and_removed() -> None:
    engine = S3Fifo(1000, room=500)
    put_sized(engine, "a", 100)
    put_sized(engine, "b", 100)
    put_sized(engine, "a", 30)
    engine.remove("b")

    assert engine.used == 30
    engine.recount()
    assert engine.used == 30


def test_a_replacement_that_is_larger_makes_room_for_itself() -> None:
    engine = S3Fifo(1000, room=500)
    for key in "abcd":
        put_sized(engine, key, 100)

    put_sized(engine, "a", 300)

    assert engine.used <= 500


def test_few_large_entries_survive_a_scan_of_small_ones() -> None:
    engine = S3Fifo(100_000, room=10_000)
    for _ in range(5):
        for number in range(50):
            if not use(engine, f"hot-{number}"):
                put_sized(engine, f"hot-{number}", 100)

    for number in range(10_000):
        put_sized(engine, f"scan-{number}", 10)

    assert sum(use(engine, f"hot-{number}") for number in range(50)) > 40
