"""Nothing is lost without notice: clients of the official SDK, cut off again and again."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from strongback.realtime.broker import Broker, BrokerUnavailable
from strongback.realtime.redis_broker import RedisBroker
from strongback.redis import RedisClient, connect
from strongback.testing.redis import PATIENCE, RedisServer, run_redis
from tests.support.realtime import SuiteChannels, open_server
from tests.support.realtime_recovery import Cutter, Shown, Subscribed, check, watch
from tests.support.thread import run_async

# The SDK leaves the socket of a connection that is cut during its handshake to the collector.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

COUNT, CUTS = 300, 15
LONG_COUNT, LONG_CUTS = 1000, 50


@pytest.fixture
def size(is_long: bool) -> tuple[int, int]:
    """Publications, and cuts."""
    return (LONG_COUNT, LONG_CUTS) if is_long else (COUNT, CUTS)


def publisher(broker: Broker, channel: str) -> Callable[[int], None]:
    """Return a function that publishes a number as the outbox does: until it has succeeded."""

    def publish(number: int) -> None:
        data, until = json.dumps({"number": number}).encode(), time.monotonic() + 60
        while True:
            try:
                broker.publish([channel], data, idempotency_key=str(number))
            except BrokerUnavailable:
                assert time.monotonic() < until, "Redis does not come back"
                time.sleep(0.05)
            else:
                return

    return publish


def run(
    ports: list[int],
    broker: Broker,
    size: tuple[int, int],
    trouble: Callable[[int], None] = lambda number: None,
) -> list[Shown | Subscribed]:
    """Run the scenario once."""

    async def scenario() -> list[Shown | Subscribed]:
        async with Cutter(*ports) as cutter:
            publish = publisher(broker, "room")
            count, cuts = size
            return await watch(cutter, "room", publish, count=count, cuts=cuts, trouble=trouble)

    return run_async(scenario())


def test_in_memory_nothing_is_lost(size) -> None:
    server, port = open_server()
    try:
        events = run([port], server.environment.broker, size)
    finally:
        server.stop()
    assert check(events, size[0]) == 0
    assert sum(isinstance(each, Subscribed) for each in events) > 1


@pytest.fixture
def redis_on_disk(starts_redis: None, tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis that keeps its data when it is killed."""
    with run_redis(tmp_path, "--appendonly", "yes") as server:
        yield server


@pytest.mark.parametrize("keeps_data", [True, False], ids=["kept", "lost"])
def test_with_redis_killed_nothing_is_lost_without_notice(redis_on_disk, keeps_data, size) -> None:
    with ExitStack() as stack:
        ports = []
        for _ in range(2):
            server, port = open_server(redis_on_disk.url)
            stack.callback(server.stop)
            ports.append(port)
        client = RedisClient(connect(redis_on_disk.url, timeout=PATIENCE))
        stack.callback(client.close)

        def trouble(number: int) -> None:
            if number % (size[0] // 3) == size[0] // 6:
                redis_on_disk.kill()
                if not keeps_data:
                    _forget(redis_on_disk)
                redis_on_disk.start()

        events = run(ports, RedisBroker(client, SuiteChannels()), size, trouble)

    gaps = check(events, size[0])
    assert (gaps == 0) == keeps_data


def _forget(redis: RedisServer) -> None:
    for file in redis.folder.glob("appendonlydir/*"):
        file.unlink()
