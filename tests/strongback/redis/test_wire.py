"""The kept connection speaks to a real server, and does not outlive what has gone wrong with it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis
from redis import RedisError, ResponseError
from redis.exceptions import NoScriptError
from redis.exceptions import TimeoutError as RedisTimeoutError

from strongback.redis.client import RedisClient
from strongback.redis.wire import CHUNK, Command, RedisWire, encode
from tests.support.redis import RedisServer


@pytest.fixture
def client(redis_server: RedisServer) -> Iterator[RedisClient]:
    client = RedisClient(redis_server.url, connections=1)
    yield client
    client.close()


@pytest.fixture
def wire(client: RedisClient) -> Iterator[RedisWire]:
    wire = RedisWire(client.server)
    yield wire
    wire.close()


def test_a_command_is_sent_with_the_length_of_each_part_in_bytes() -> None:
    assert (
        encode(("SET", b"k", 12, "é"))
        == b"*4\r\n$3\r\nSET\r\n$1\r\nk\r\n$2\r\n12\r\n$2\r\n\xc3\xa9\r\n"
    )


@pytest.mark.parametrize(
    "command, answer",
    [
        (("PING",), b"PONG"),
        (("SET", "k", "v"), b"OK"),
        (("GET", "missing"), None),
        (("INCR", "number"), 1),
        (("LRANGE", "missing", 0, -1), []),
        (("MGET", "missing", "missing"), [None, None]),
        (("BLPOP", "missing", "0.01"), None),
        (("EVAL", "return {1, {'a', false}, 'b'}", 0), [1, [b"a", None], b"b"]),
        (("EVAL", "return ''", 0), b""),
    ],
)
def test_answers_of_every_kind_are_read(wire: RedisWire, command: Command, answer: object) -> None:
    assert wire.run([command, ("PING",)]) == [answer, b"PONG"]


@pytest.mark.parametrize("size", [0, 1, CHUNK - 20, CHUNK, 5 * CHUNK])
def test_values_of_any_size_and_content_come_back(wire: RedisWire, size: int) -> None:
    value = (b"\r\n$-1\r\n\x00" * (size // 8 + 1))[:size]

    assert wire.run([("SET", "k", value), ("GET", "k"), ("MGET", "k", "no", "k"), ("PING",)]) == [
        b"OK",
        value,
        [value, None, value],
        b"PONG",
    ]


def test_an_error_of_one_command_leaves_the_others_their_answers(wire: RedisWire) -> None:
    first, error, unknown, last = wire.run(
        [("SET", "k", "v"), ("INCR", "k"), ("EVALSHA", "0" * 40, 0), ("GET", "k")]
    )

    assert (first, last) == (b"OK", b"v")
    assert isinstance(error, ResponseError)
    assert isinstance(unknown, NoScriptError)


def test_a_connection_that_the_server_has_closed_is_replaced(
    wire: RedisWire, redis_server: RedisServer
) -> None:
    assert wire.run([("SET", "k", "v")]) == [b"OK"]

    with redis.Redis.from_url(redis_server.url) as other:
        other.client_kill_filter(_type="normal", skipme=True)

    assert wire.run([("GET", "k")]) == [b"v"]


def test_a_server_that_is_gone_is_an_error_until_it_is_back(
    wire: RedisWire, redis_server: RedisServer
) -> None:
    wire.run([("PING",)])
    redis_server.kill()

    for _ in range(3):  # no connection is kept back from the pool, which has one
        with pytest.raises(RedisError):
            wire.run([("PING",)])
    redis_server.start()

    assert wire.run([("PING",)]) == [b"PONG"]


def test_an_answer_that_comes_too_late_is_never_taken_for_another(
    wire: RedisWire, redis_server: RedisServer
) -> None:
    wire.run([("SET", "late", "wrong"), ("SET", "k", "right")])
    with redis_server.frozen(), pytest.raises(RedisTimeoutError):
        wire.run([("GET", "late")])

    assert wire.run([("GET", "k")]) == [b"right"]


def test_closing_gives_the_connection_back(wire: RedisWire, client: RedisClient) -> None:
    wire.run([("PING",)])

    wire.close()
    wire.close()

    assert client.call(lambda server: server.ping())
