from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
from structlog.testing import capture_logs

from app.core.config import Settings
from app.main import create_app
from strongback.redis.client import TOLERATED_FAILURES, RedisClient
from strongback.redis.error import RedisUnavailable
from tests.support.cache import eventually
from tests.support.redis import PATIENCE, RedisServer


@pytest.fixture
def client(redis_server: RedisServer) -> Iterator[RedisClient]:
    client = RedisClient(redis_server.url, connections=4)
    yield client
    client.close()


def ask(client: RedisClient) -> bool:
    """Whether Redis did its work."""
    try:
        client.call(lambda server: server.set("key", "value"))
    except RedisUnavailable:
        return False
    return True


def seconds(function: Callable[[], object]) -> float:
    started = time.monotonic()
    function()
    return time.monotonic() - started


def await_recovery(client: RedisClient) -> None:
    assert eventually(lambda: client.is_available)


def test_a_frozen_server_delays_the_first_calls_only(
    client: RedisClient, redis_server: RedisServer
) -> None:
    assert ask(client)

    with redis_server.frozen():
        first = [seconds(lambda: ask(client)) for _ in range(TOLERATED_FAILURES)]
        then = seconds(lambda: [ask(client) for _ in range(1000)])

    assert max(first) < 10 * PATIENCE, "redis-py waits for a minute by itself"
    assert then < 1000 * PATIENCE / 20, "they have waited for it"
    await_recovery(client)
    assert ask(client)


def test_a_killed_server_is_left_alone_until_it_answers(
    client: RedisClient, redis_server: RedisServer
) -> None:
    assert ask(client)
    redis_server.kill()

    assert not any(ask(client) for _ in range(TOLERATED_FAILURES))
    assert not client.is_available

    redis_server.start()
    await_recovery(client)
    assert ask(client)


def test_a_server_restarted_unseen_is_noticed_by_nobody(
    client: RedisClient, redis_server: RedisServer
) -> None:
    assert ask(client)

    redis_server.kill()
    redis_server.start()

    assert ask(client)


def test_answers_that_came_too_late_are_not_taken_for_later_ones(
    client: RedisClient, redis_server: RedisServer
) -> None:
    ask(client)
    with redis_server.frozen(), pytest.raises(RedisUnavailable):
        client.call(lambda server: server.get("key"))

    assert client.call(lambda server: server.echo("mine")) == b"mine"


def test_one_failure_is_tolerated(client: RedisClient, redis_server: RedisServer) -> None:
    with redis_server.frozen():
        assert not ask(client)

    assert client.is_available
    assert ask(client)


def test_an_outage_is_logged_once(client: RedisClient, redis_server: RedisServer) -> None:
    with capture_logs() as events:
        redis_server.kill()
        for _ in range(20):
            ask(client)
        redis_server.start()
        await_recovery(client)
        client.close()  # ends the thread that logs

    assert [event["event"] for event in events] == ["redis_unavailable", "redis_recovered"]


def test_a_closed_client_leaves_no_thread(client: RedisClient, redis_server: RedisServer) -> None:
    redis_server.kill()
    for _ in range(TOLERATED_FAILURES):
        ask(client)

    client.close()

    assert client._watcher is not None
    assert not client._watcher.is_alive()


def test_readiness_asks_it(settings: Settings, redis_server: RedisServer) -> None:
    app = create_app(settings.model_copy(update={"redis_url": redis_server.url}))

    def state() -> str:
        answer = app.test_client().get("/readyz").get_json()
        return str(answer["services"]["redis"]["status"])

    assert state() == "ok"
    redis_server.kill()
    assert state() == "unavailable"
    app.close()
