"""What threads ask at the same moment goes together, and one that gives up leaves nobody behind."""

from __future__ import annotations

import signal
import threading
from functools import partial

import pytest

from strongback.cache.combiner import LANES, Combiner
from strongback.redis.client import RedisClient
from tests.support.cache import eventually, start

BUSY = ("BLPOP", "missing", "0.15")
"""Keeps its lane for a while."""


class Interrupted(Exception):
    """Raised by a signal's handler, as Celery raises its soft time limit."""


def _raise(*_: object) -> None:
    raise Interrupted


@pytest.fixture
def combiner(client: RedisClient) -> Combiner:
    combiner = Combiner(client)
    for thread in [start(lambda: combiner.run([("PING",)])) for _ in range(4)]:
        thread.join()
    return combiner


def test_many_threads_get_the_answers_to_their_own_commands(combiner: Combiner) -> None:
    answers: dict[int, list[object]] = {}

    def ask(number: int) -> None:
        answers[number] = combiner.run([("ECHO", str(number)), ("PING",)])

    threads = [start(partial(ask, number)) for number in range(100)]
    for thread in threads:
        thread.join(10)

    assert answers == {number: [b"%d" % number, b"PONG"] for number in range(100)}


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs a signal's timer")
def test_one_that_a_signal_interrupts_does_not_keep_those_behind_it_waiting(
    combiner: Combiner,
) -> None:
    lanes, combiner._lanes = combiner._lanes, []  # all busy
    behind: list[object] = []
    follower = threading.Thread(target=lambda: behind.extend(combiner.run([("PING",)])))

    def interrupt() -> None:
        assert eventually(lambda: len(combiner._queue) == 1)
        follower.start()
        assert eventually(lambda: len(combiner._queue) == 2)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGALRM)

    before = signal.signal(signal.SIGALRM, _raise)
    interrupter = start(interrupt)
    try:
        with pytest.raises(Interrupted):
            combiner.run([("PING",)])
    finally:
        signal.signal(signal.SIGALRM, before)
    interrupter.join()
    for lane in lanes:
        combiner._hand_over(lane, None)
    follower.join(5)

    assert behind == [b"PONG"]


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs a signal's timer")
def test_an_answer_that_a_signal_cut_off_is_not_taken_for_the_next_one(combiner: Combiner) -> None:
    before = signal.signal(signal.SIGALRM, _raise)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with pytest.raises(Interrupted):
            combiner.run([BUSY])
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)

    assert [combiner.run([("ECHO", "a")]) for _ in range(2 * LANES)] == [[b"a"]] * 2 * LANES
