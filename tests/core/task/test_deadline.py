from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from app.core.task.deadline import Deadlines


class LateError(Exception):
    pass


@pytest.fixture
def deadlines() -> Iterator[Deadlines]:
    deadlines = Deadlines(LateError)
    deadlines.start()
    yield deadlines
    deadlines.stop()


def spin(seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.005)


def test_a_block_that_takes_too_long_gets_the_error(deadlines):
    started = time.monotonic()
    with pytest.raises(LateError), deadlines.within("slow", 0.1):
        spin(20)
    assert time.monotonic() - started < 10


def test_a_block_that_ends_in_time_is_left_alone(deadlines):
    with deadlines.within("quick", 0.3):
        spin(0.01)
    spin(0.8)


def test_each_thread_has_its_own_deadline(deadlines):
    outcome: dict[str, str] = {}

    def run(name: str, limit: float) -> None:
        try:
            with deadlines.within(name, limit):
                spin(1)
            outcome[name] = "done"
        except LateError:
            outcome[name] = "late"

    threads = [threading.Thread(target=run, args=item) for item in [("short", 0.1), ("long", 30.0)]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcome == {"short": "late", "long": "done"}


def test_an_error_that_comes_too_late_does_not_meet_the_next_block(deadlines):
    """A call in C is not interrupted: the error is sent while it waits, and is then taken back."""
    for _ in range(3):
        with pytest.raises(LateError):  # noqa: SIM117  the order matters
            with deadlines.within("waiting", 0.1):
                time.sleep(0.6)
        with deadlines.within("next", 10):
            spin(0.01)


def test_nothing_is_watched_after_a_stop():
    deadlines = Deadlines(LateError)
    deadlines.start()
    deadlines.stop()
    with deadlines.within("task", 0.01):
        spin(0.6)
