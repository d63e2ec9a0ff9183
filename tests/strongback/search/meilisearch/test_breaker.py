from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from strongback.search import SearchUnavailable
from strongback.search.meilisearch.breaker import PAUSE, TOLERATED_FAILURES, Breaker


class Clock:
    """Tells the time that a test sets."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    return Breaker(clock)


def fail(breaker: Breaker, times: int) -> None:
    for _ in range(times):
        breaker.note_failure("gone")


def admits(breaker: Breaker) -> bool:
    try:
        breaker.admit()
    except SearchUnavailable:
        return False
    return True


def test_a_few_failures_are_tolerated(breaker: Breaker) -> None:
    fail(breaker, TOLERATED_FAILURES - 1)

    assert admits(breaker)


def test_failures_that_are_not_in_a_row_are_tolerated(breaker: Breaker) -> None:
    for _ in range(9):
        fail(breaker, TOLERATED_FAILURES - 1)
        breaker.note_success()

    assert admits(breaker)


def test_too_many_in_a_row_shut_it(breaker: Breaker) -> None:
    fail(breaker, TOLERATED_FAILURES)

    assert not admits(breaker)


def test_one_caller_may_try_in_each_pause(breaker: Breaker, clock: Clock) -> None:
    fail(breaker, TOLERATED_FAILURES)

    for _ in range(3):
        clock.seconds += PAUSE
        assert [admits(breaker) for _ in range(4)] == [True, False, False, False]
        fail(breaker, 1)


def test_a_success_opens_it_for_everybody(breaker: Breaker, clock: Clock) -> None:
    fail(breaker, TOLERATED_FAILURES)
    clock.seconds += 60
    breaker.note_success()

    assert all(admits(breaker) for _ in range(4))


def test_an_outage_is_logged_at_its_beginning_and_end(breaker: Breaker, clock: Clock) -> None:
    with capture_logs() as logs:
        fail(breaker, TOLERATED_FAILURES + 5)
        clock.seconds += 60
        breaker.note_success()
        breaker.note_success()

    assert [(one["event"], one.get("seconds")) for one in logs] == [
        ("search_unavailable", None),
        ("search_recovered", 60.0),
    ]
