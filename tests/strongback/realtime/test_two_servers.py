"""Servers that share a Redis are one to their clients."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from strongback.realtime.broker import BrokerUnavailable
from strongback.realtime.redis_broker import RedisBroker
from strongback.realtime.server import RealtimeServer
from strongback.redis import RedisClient, connect
from strongback.testing.redis import PATIENCE, RedisServer
from tests.support.broker_contract import eventually
from tests.support.realtime import SuiteChannels, open_server, run_server_process
from tests.support.realtime_client import Client, address, close


@pytest.fixture
def servers(redis_server: RedisServer) -> Iterator[list[tuple[RealtimeServer, str]]]:
    """Two servers, with their addresses."""
    opened = [open_server(redis_server.url) for _ in range(2)]
    yield [(server, address(port)) for server, port in opened]
    for server, _ in opened:
        server.stop()


@pytest.fixture
def broker(redis_server: RedisServer) -> Iterator[RedisBroker]:
    """What an application publishes by, in a process without a server."""
    client = RedisClient(connect(redis_server.url, timeout=PATIENCE))
    yield RedisBroker(client, SuiteChannels())
    client.close()


def present(client: Client, channel: str) -> set[str]:
    """Users that a client sees in a channel."""
    found = client.ask("presence", channel=channel)["presence"]
    return {info["user"] for info in found.values()}


def test_they_agree_on_who_is_present(servers) -> None:
    (_, first), (_, second) = servers
    one, other = Client(first, "1"), Client(second, "2")
    one.ask("subscribe", channel="room")
    other.ask("subscribe", channel="room")
    assert present(one, "room") == present(other, "room") == {"1", "2"}

    close(one)
    assert eventually(lambda: present(other, "room") == {"2"})
    close(other)


def test_who_is_killed_with_its_server_is_no_longer_present(servers, redis_server) -> None:
    client = Client(servers[0][1], "1")
    client.ask("subscribe", channel="room")
    with run_server_process(redis_server.url) as (process, port):
        killed = Client(address(port), "2")
        killed.ask("subscribe", channel="room")
        process.kill()
        process.wait()
    assert present(client, "room") == {"1", "2"}

    let_a_minute_go_by(redis_server, "room", "2")
    assert present(client, "room") == {"1"}
    close(client)


def let_a_minute_go_by(server: RedisServer, channel: str, user: str) -> None:
    """Let the entries of a user in a channel be as old as those that nobody has renewed."""
    with connect(server.url) as client:
        redis: Any = client
        ends = redis.zrange(f"realtime:expiry:{channel}", 0, -1, withscores=True)
        assert all(0 < end - time.time() <= 61 for _, end in ends)
        for name, info in redis.hgetall(f"realtime:present:{channel}").items():
            if json.loads(info)[0] == user:
                redis.zadd(f"realtime:expiry:{channel}", {name: time.time() - 1})


def test_a_publication_reaches_the_clients_of_both(servers, broker) -> None:
    clients = [Client(url, str(number)) for number, (_, url) in enumerate(servers, 1)]
    for client in clients:
        client.ask("subscribe", channel="room")
    broker.publish(["room"], b'{"a":1}', idempotency_key="a")
    broker.publish(["room"], b'{"a":1}', idempotency_key="a")
    broker.publish(["room"], b'{"a":2}')

    for client in clients:
        pubs = [client.receive()["push"]["pub"] for _ in range(2)]
        assert pubs == [{"data": {"a": 1}, "offset": 1}, {"data": {"a": 2}, "offset": 2}]
    close(*clients)


def test_a_session_is_closed_wherever_it_is(servers, broker) -> None:
    clients = [Client(url, "7", sid="a") for _, url in servers]
    other = Client(servers[0][1], "7", sid="b")
    start = time.monotonic()
    broker.disconnect(7, "a")
    assert [client.code() for client in clients] == [3503, 3503]
    assert time.monotonic() - start < 10
    other.ask("history", channel="#7")
    close(other, *clients)


def test_with_redis_gone_the_connections_stay(servers, broker, redis_server) -> None:
    (server, url), _ = servers
    client = Client(url, "1")
    client.ask("subscribe", channel="room")
    redis_server.kill()
    assert eventually(lambda: not server.snapshot().is_listening)

    error = client.ask("history", channel="room")["error"]
    assert (error["code"], error["temporary"]) == (100, True)
    late = client.ask("subscribe", channel="another")["error"]
    assert (late["code"], late["temporary"]) == (100, True)
    assert client.ask("unsubscribe", channel="plain:1") == {}

    redis_server.start()
    assert client.code() == 3010, "the stream of the personal channel is another one"
    again = Client(url, "1")
    again.ask("subscribe", channel="room")
    assert eventually(lambda: _publishes(broker))
    assert again.receive()["push"]["pub"]["offset"] == 1
    close(client, again)


def _publishes(broker: RedisBroker) -> bool:
    try:
        broker.publish(["room"], b"1", idempotency_key="once")
    except BrokerUnavailable:
        return False
    return True
