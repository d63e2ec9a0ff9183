from __future__ import annotations

import threading
import time

import pytest
from sqlalchemy.exc import OperationalError

from strongback.database.breaker import Breaker, DatabaseHangs, is_hang
from strongback.database.error import is_transient

DEADLINE = 60


class Server:
    """A database that answers, hangs or refuses, as the test says."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.asked = threading.Event()

    def ping(self) -> None:
        self.asked.set()
        if self.error is not None:
            raise OperationalError("ping", None, self.error)


def wait_until(breaker: Breaker, *, is_open: bool) -> None:
    deadline = time.monotonic() + DEADLINE
    while breaker.is_open is not is_open:
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def breaker(server: Server) -> Breaker:
    return Breaker(server.ping)


def test_lets_everybody_on_at_first(breaker):
    breaker.check()


def test_refuses_at_once_after_a_ping_has_hung_and_until_one_is_answered(breaker, server):
    server.error = TimeoutError()
    breaker.suspect(is_certain=True)
    with pytest.raises(DatabaseHangs) as caught:
        breaker.check()
    assert is_transient(caught.value)
    server.error = None
    wait_until(breaker, is_open=False)
    breaker.check()


def test_asks_before_it_refuses_where_one_statement_was_slow(breaker, server):
    breaker.suspect(is_certain=False)
    assert server.asked.wait(DEADLINE)
    breaker.check()


def test_refuses_after_a_slow_statement_if_the_database_hangs(breaker, server):
    server.error = TimeoutError()
    breaker.suspect(is_certain=False)
    wait_until(breaker, is_open=True)
    server.error = None
    wait_until(breaker, is_open=False)


def test_lets_each_find_out_where_the_database_refuses_at_once(breaker, server):
    server.error = TimeoutError()
    breaker.suspect(is_certain=True)
    server.error = ConnectionRefusedError()
    wait_until(breaker, is_open=False)


def test_asks_with_one_thread_whoever_suspects(breaker, server):
    server.error = TimeoutError()
    for _ in range(20):
        breaker.suspect(is_certain=True)
    named = [item for item in threading.enumerate() if item.name == "database-breaker"]
    assert len(named) == 1
    server.error = None
    wait_until(breaker, is_open=False)


def test_a_hang_is_told_by_the_time_out_beneath_the_drivers_error():
    lost = OSError(2013, "Lost connection")
    assert not is_hang(OperationalError("SELECT", None, lost))
    lost.__context__ = TimeoutError()  # as PyMySQL's has
    assert is_hang(OperationalError("SELECT", None, lost))
