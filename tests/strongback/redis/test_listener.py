"""A listener hears what is published, and says when it may have missed something."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from strongback.redis.client import RedisClient, connect
from strongback.redis.listener import SILENCE, RedisListener
from strongback.testing.redis import RedisServer
from tests.support.cache import eventually

CHANNELS = ["one", "two"]


class Log:
    """What a listener has reported."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self.opened = self.ticks = 0

    def open(self) -> None:
        self.opened += 1

    def tick(self) -> None:
        self.ticks += 1


@pytest.fixture
def client(redis_server: RedisServer) -> Iterator[RedisClient]:
    client = RedisClient(connect(redis_server.url, connections=4))
    yield client
    client.close()


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def listener(client: RedisClient, log: Log) -> Iterator[RedisListener]:
    listener = RedisListener(
        client, CHANNELS, on_message=log.heard.append, on_open=log.open, on_tick=log.tick
    )
    yield listener
    listener.close()


def publish(client: RedisClient, channel: str, text: str) -> None:
    client.call(lambda server: server.publish(channel, text))


def threads() -> int:
    return sum(thread.name == "redis-listener" for thread in threading.enumerate())


def test_hears_every_channel_in_order(
    listener: RedisListener, client: RedisClient, log: Log
) -> None:
    assert listener.start()
    assert listener.opened.wait(5)

    for channel, text in (("one", "a"), ("two", "b"), ("other", "c"), ("one", "d")):
        publish(client, channel, text)

    assert eventually(lambda: log.heard == [b"a", b"b", b"d"])
    assert log.opened == 1


def test_starts_once(listener: RedisListener) -> None:
    assert [listener.start() for _ in range(3)] == [True, False, False]
    assert threads() == 1


def test_says_that_it_was_away_once_it_hears_again(
    listener: RedisListener, client: RedisClient, log: Log, redis_server: RedisServer
) -> None:
    listener.start()
    assert listener.opened.wait(5)
    redis_server.kill()
    assert eventually(lambda: not listener.opened.is_set())

    redis_server.start()

    assert eventually(lambda: log.opened == 2)
    assert eventually(lambda: client.is_available)
    publish(client, "one", "a")
    assert eventually(lambda: log.heard == [b"a"])


def test_takes_a_silent_connection_for_cut(
    listener: RedisListener, log: Log, redis_server: RedisServer
) -> None:
    listener.start()
    assert listener.opened.wait(5)

    with redis_server.frozen():
        assert eventually(lambda: not listener.opened.is_set(), 10 * SILENCE)

    assert eventually(lambda: log.opened == 2)


def test_keeps_a_quiet_connection_and_ticks(listener: RedisListener, log: Log) -> None:
    listener.start()
    assert listener.opened.wait(5)

    ticks_of_two_silences = 10
    assert eventually(lambda: log.ticks >= ticks_of_two_silences)
    assert log.opened == 1


@pytest.mark.parametrize("is_away", [False, True])
def test_closing_ends_its_thread(
    listener: RedisListener, redis_server: RedisServer, *, is_away: bool
) -> None:
    listener.start()
    assert listener.opened.wait(5)
    if is_away:
        redis_server.kill()

    listener.close()

    assert eventually(lambda: threads() == 0)
    assert not listener.start(), "closed for good"


def test_a_listener_that_was_never_started_can_be_closed(listener: RedisListener) -> None:
    listener.close()

    assert threads() == 0
