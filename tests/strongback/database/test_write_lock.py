from __future__ import annotations

from functools import partial

import pytest
from sqlalchemy.exc import OperationalError

from strongback.database import is_retryable, is_transient
from strongback.database.write_lock import WriteLock
from tests.support.cache import eventually, start
from tests.support.thread import run_together


def test_threads_are_served_in_the_order_in_which_they_came():
    lock, order = WriteLock(30), []

    def take(number: int) -> None:
        with lock:
            order.append(number)

    with lock:
        threads = []
        for number in range(10):
            threads.append(start(partial(take, number)))
            assert eventually(lambda: len(lock._waiting) == len(threads))
    for thread in threads:
        thread.join()
    assert order == list(range(10))


def test_one_at_a_time():
    lock, inside, most = WriteLock(5), [0], [0]

    def work() -> None:
        for _ in range(200):
            with lock:
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                inside[0] -= 1

    run_together(*[work] * 8)
    assert (inside[0], most[0]) == (0, 1)


def test_whoever_waits_too_long_gets_sqlites_own_error_and_holds_up_nobody():
    lock = WriteLock(0.05)
    with lock, pytest.raises(OperationalError) as caught:
        run_together(lock.__enter__)
    assert is_transient(caught.value)
    assert is_retryable(caught.value)
    with lock:
        pass


def test_an_error_releases_it():
    lock = WriteLock(0.05)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), lock:
            raise ZeroDivisionError
