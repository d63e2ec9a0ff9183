from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator

import pytest

from strongback.task.deadline import Deadlines, SoftTimeLimitExceeded
from tests.support.thread import run_together
from tests.support.worker import wait_until


@pytest.fixture
def deadlines() -> Iterator[Deadlines]:
    deadlines = Deadlines()
    deadlines.start()
    yield deadlines
    deadlines.stop()


def spin(seconds: float, until: threading.Event | None = None) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end and not (until and until.is_set()):
        time.sleep(0.005)


def test_a_block_that_takes_too_long_gets_the_error(deadlines):
    with pytest.raises(SoftTimeLimitExceeded), deadlines.within("slow", 0.1):
        spin(60)


def test_a_block_that_ends_in_time_is_left_alone(deadlines):
    with deadlines.within("quick", 0.5):
        spin(0.01)
    spin(1)


def test_each_thread_has_its_own_deadline(deadlines):
    short_is_late = threading.Event()

    def short() -> str:
        with pytest.raises(SoftTimeLimitExceeded), deadlines.within("short", 0.1):
            spin(60)
        short_is_late.set()
        return "late"

    def long() -> str:
        with deadlines.within("long", 60):
            spin(60, short_is_late)
        return "done"

    assert run_together(short, long) == ["late", "done"]


def test_an_error_that_comes_too_late_does_not_meet_the_next_block(deadlines):
    """A call in C is not interrupted: the error is sent while it waits, and is then taken back."""
    waiter = threading.get_ident()

    def expire(sent: threading.Event) -> None:
        watched = deadlines._watched[waiter]
        watched.ends = 0.0
        wait_until(lambda: watched.is_over, "the error's sending")
        sent.set()

    for _ in range(3):
        sent = threading.Event()
        expiry = threading.Thread(target=expire, args=(sent,))
        with pytest.raises(SoftTimeLimitExceeded):  # noqa: PT012, SIM117  the order matters
            with deadlines.within("waiting", 60):
                expiry.start()
                sent.wait(60)
        expiry.join()
        with deadlines.within("next", 60):
            spin(0.01)


def test_an_interrupted_block_leaves_the_interpreter_nothing_to_look_for(deadlines):
    """A profiler or a tracer would keep it from anything else."""
    with pytest.raises(SoftTimeLimitExceeded), deadlines.within("slow", 0.1):
        spin(60)
    calls: list[str] = []
    sys.setprofile(lambda frame, event, _: calls.append(event))
    spin(0)
    sys.setprofile(None)
    assert "call" in calls


def test_nothing_is_watched_after_a_stop():
    deadlines = Deadlines()
    deadlines.start()
    deadlines.stop()
    with deadlines.within("task", 0.01):
        spin(0.6)
