"""Nobody waits for a server that is known not to answer, and one thread finds out when it does."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs

from strongback.circuit_breaker import TOLERATED_FAILURES, CircuitBreaker
from tests.support.cache import eventually

PAUSE = 0.02


class Server:
    """Answers pings or not, as the test says."""

    def __init__(self) -> None:
        self.is_up = True
        self.pings = 0

    def ping(self) -> bool:
        self.pings += 1
        return self.is_up


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def breaker(server: Server) -> Iterator[CircuitBreaker]:
    breaker = CircuitBreaker("test", server.ping, pause=PAUSE)
    yield breaker
    breaker.close()


def fail(breaker: CircuitBreaker, times: int = TOLERATED_FAILURES) -> None:
    for _ in range(times):
        breaker.note_failure("gone")


def threads() -> int:
    return sum(thread.name == "test-breaker" for thread in threading.enumerate())


def test_is_closed_at_first(breaker: CircuitBreaker) -> None:
    assert not breaker.is_open


def test_a_few_failures_are_tolerated(breaker: CircuitBreaker, server: Server) -> None:
    fail(breaker, TOLERATED_FAILURES - 1)

    assert not breaker.is_open
    assert server.pings == 0


def test_failures_that_are_not_in_a_row_are_tolerated(breaker: CircuitBreaker) -> None:
    for _ in range(9):
        fail(breaker, TOLERATED_FAILURES - 1)
        breaker.note_success()

    assert not breaker.is_open


def test_is_open_after_too_many_and_until_a_ping_is_answered(
    breaker: CircuitBreaker, server: Server
) -> None:
    server.is_up = False
    fail(breaker)
    assert eventually(lambda: server.pings > 3)
    assert breaker.is_open

    server.is_up = True

    assert eventually(lambda: not breaker.is_open)
    fail(breaker, TOLERATED_FAILURES - 1)
    assert not breaker.is_open, "earlier failures count no more"


def test_one_failure_is_enough_where_none_is_tolerated(server: Server) -> None:
    breaker = CircuitBreaker("test", server.ping, tolerated=1, pause=60)
    breaker.note_failure("gone")

    assert breaker.is_open
    breaker.close()


def test_a_suspicion_that_a_ping_removes_opens_nothing(
    breaker: CircuitBreaker, server: Server
) -> None:
    breaker.suspect()

    assert eventually(lambda: server.pings == 1 and threads() == 0)
    assert not breaker.is_open


def test_a_suspicion_that_a_ping_confirms_opens_it(breaker: CircuitBreaker, server: Server) -> None:
    server.is_up = False
    breaker.suspect()
    assert eventually(lambda: breaker.is_open)

    server.is_up = True

    assert eventually(lambda: not breaker.is_open)


def test_one_thread_pings_however_many_fail(breaker: CircuitBreaker, server: Server) -> None:
    server.is_up = False
    fail(breaker, 20)
    breaker.suspect()

    assert threads() == 1
    breaker.close()
    assert threads() == 0


def test_an_outage_is_logged_at_its_beginning_and_end(
    breaker: CircuitBreaker, server: Server
) -> None:
    server.is_up = False
    with capture_logs() as logs:
        fail(breaker, TOLERATED_FAILURES + 5)
        server.is_up = True
        assert eventually(lambda: not breaker.is_open)

    assert [(one["event"], one["server"]) for one in logs] == [
        ("circuit_opened", "test"),
        ("circuit_closed", "test"),
    ]
    assert logs[0]["reason"] == "gone"


def test_a_forked_child_pings_for_itself(server: Server, starts_processes: None) -> None:
    breaker = CircuitBreaker("test", server.ping, pause=PAUSE)
    server.is_up = False
    fail(breaker)
    assert breaker.is_open

    child = os.fork()
    if child == 0:
        server.is_up = True
        os._exit(0 if eventually(lambda: not breaker.is_open) else 1)

    assert os.waitpid(child, 0)[1] == 0
    breaker.close()
