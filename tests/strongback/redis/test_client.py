from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from operator import methodcaller
from typing import Any, ClassVar

import pytest
from redis import BlockingConnectionPool, Connection, ConnectionPool, Redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from structlog.testing import capture_logs

from app.core.config import Settings
from app.main import create_app
from strongback.circuit_breaker import TOLERATED_FAILURES
from strongback.redis.client import KEPT, RedisClient, connect
from strongback.redis.error import RedisMisuse, RedisUnavailable
from strongback.testing.redis import PATIENCE, RedisServer
from tests.support.cache import eventually, start


@pytest.fixture
def client(redis_server: RedisServer) -> Iterator[RedisClient]:
    client = RedisClient(connect(redis_server.url, connections=4))
    yield client
    client.close()


Ask = Callable[[RedisClient], bool]


def call(client: RedisClient) -> object:
    return client.call(lambda server: server.set("key", "value"))


def execute(client: RedisClient) -> object:
    return client.execute("SET", "key", "value")


@pytest.fixture(params=[call, execute], ids=["call", "execute"])
def ask(request: pytest.FixtureRequest) -> Ask:
    """Tells whether Redis did its work."""

    def ask(client: RedisClient) -> bool:
        try:
            request.param(client)
        except RedisUnavailable:
            return False
        return True

    return ask


def seconds(function: Callable[[], object]) -> float:
    started = time.monotonic()
    function()
    return time.monotonic() - started


def await_recovery(client: RedisClient) -> None:
    assert eventually(lambda: client.is_available)


def test_a_frozen_server_delays_the_first_calls_only(
    client: RedisClient, ask: Ask, redis_server: RedisServer
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
    client: RedisClient, ask: Ask, redis_server: RedisServer
) -> None:
    assert ask(client)
    redis_server.kill()

    assert not any(ask(client) for _ in range(TOLERATED_FAILURES))
    assert not client.is_available

    redis_server.start()
    await_recovery(client)
    assert ask(client)


def test_a_server_restarted_unseen_is_noticed_by_nobody(
    client: RedisClient, ask: Ask, redis_server: RedisServer
) -> None:
    assert ask(client)

    redis_server.kill()
    redis_server.start()

    assert ask(client)


def test_answers_that_came_too_late_are_not_taken_for_later_ones(
    client: RedisClient, ask: Ask, redis_server: RedisServer
) -> None:
    ask(client)
    with redis_server.frozen(), pytest.raises(RedisUnavailable):
        client.execute("GET", "key")
    with redis_server.frozen(), pytest.raises(RedisUnavailable):
        client.call(lambda server: server.get("key"))

    assert [client.execute("ECHO", "mine") for _ in range(2 * KEPT)] == [b"mine"] * 2 * KEPT
    assert client.call(lambda server: server.echo("mine")) == b"mine"


def test_connections_that_the_server_has_closed_are_replaced_unseen(
    client: RedisClient, ask: Ask, redis_server: RedisServer
) -> None:
    assert ask(client)
    with Redis.from_url(redis_server.url) as other:
        other.client_kill_filter(_type="normal", skipme=True)

    assert [ask(client) for _ in range(TOLERATED_FAILURES)] == [True] * TOLERATED_FAILURES
    assert client.is_available


def test_more_threads_than_connections_wait_for_each_other(redis_server: RedisServer) -> None:
    client = RedisClient(connect(redis_server.url, connections=2))
    found: list[bool] = []

    def work() -> None:
        for number in range(20):
            name = f"{threading.get_ident()}-{number}"
            echo = methodcaller("echo", name)
            found.append(client.call(echo) == client.execute("ECHO", name) == name.encode())

    threads = [start(work) for _ in range(16)]
    for thread in threads:
        thread.join()
    client.close()

    assert found == [True] * 16 * 20


class Interrupted(Exception):
    """Raised by a signal's handler, as Celery raises its soft time limit."""


def _raise(*_: object) -> None:
    raise Interrupted


def test_a_response_that_a_signal_cut_off_is_not_taken_for_the_next_one(
    client: RedisClient,
) -> None:
    before = signal.signal(signal.SIGALRM, _raise)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with pytest.raises(Interrupted):
            client.execute("BLPOP", "missing", "0.15")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)

    assert [client.execute("ECHO", "a") for _ in range(2 * KEPT)] == [b"a"] * 2 * KEPT


def test_a_response_that_was_not_even_waited_for_is_not_taken_for_the_next_one(
    redis_server: RedisServer,
) -> None:
    """A task's time limit may come between the command and its response."""

    class Hasty(Connection):
        is_due = False
        sent: tuple[str, ...] = ()

        def read_response(self, *args: Any, **options: Any) -> Any:
            if "interrupt" in self.sent and Hasty.is_due:
                Hasty.is_due = False
                raise Interrupted
            return super().read_response(*args, **options)

        def send_command(self, *args: Any, **options: Any) -> None:
            self.sent = tuple(map(str, args))
            super().send_command(*args, **options)

    pool = BlockingConnectionPool.from_url(
        redis_server.url,
        connection_class=Hasty,
        max_connections=2,
        timeout=PATIENCE,
        socket_timeout=PATIENCE,
        socket_connect_timeout=PATIENCE,
        retry=Retry(NoBackoff(), 0),
    )
    with closing(RedisClient(Redis.from_pool(pool))) as client:
        client.execute("SET", "interrupt", "first")
        client.execute("SET", "other", "second")
        Hasty.is_due = True
        with pytest.raises(Interrupted):
            client.execute("GET", "interrupt")
        assert client.execute("GET", "other") == b"second"


def test_a_forked_child_leaves_its_parents_connections_alone(client: RedisClient) -> None:
    assert client.execute("ECHO", "parent") == b"parent"

    child = os.fork()
    if child == 0:
        found = {client.execute("ECHO", f"child {number}") for number in range(50)}
        os._exit(0 if len(found) == 50 else 1)
    answers = {client.execute("ECHO", f"parent {number}") for number in range(50)}

    assert os.waitpid(child, 0)[1] == 0
    assert answers == {b"parent %d" % number for number in range(50)}


class TestRefusal:
    """A client that would hang or fail its callers is refused when it is handed over."""

    BOUNDED: ClassVar = {"socket_timeout": 1, "socket_connect_timeout": 1, "timeout": 1}

    def test_a_default_client_is_told_what_to_write(self) -> None:
        with pytest.raises(RedisMisuse) as refusal:
            RedisClient(Redis())

        text = str(refusal.value)
        assert "its pool raises an error" in text
        assert "it retries" in text
        assert "strongback.redis.connect(url)" in text

    @pytest.mark.parametrize("name", ["socket_timeout", "socket_connect_timeout"])
    def test_one_without_a_time_out(self, name: str) -> None:
        options = {**self.BOUNDED, name: None}
        pool = BlockingConnectionPool(retry=Retry(NoBackoff(), 0), **options)

        with pytest.raises(RedisMisuse, match=f"it has no {name}"):
            RedisClient(Redis.from_pool(pool))

    def test_one_that_retries(self) -> None:
        with pytest.raises(RedisMisuse, match="it retries"):
            RedisClient(Redis.from_pool(BlockingConnectionPool(**self.BOUNDED)))

    def test_a_pool_that_fails_instead_of_waiting(self) -> None:
        pool = ConnectionPool(
            socket_timeout=1, socket_connect_timeout=1, retry=Retry(NoBackoff(), 0)
        )

        with pytest.raises(RedisMisuse, match="instead of waiting"):
            RedisClient(Redis.from_pool(pool))

    def test_a_pool_that_waits_without_end(self) -> None:
        options = {**self.BOUNDED, "timeout": None}
        pool = BlockingConnectionPool(retry=Retry(NoBackoff(), 0), **options)

        with pytest.raises(RedisMisuse, match="without end"):
            RedisClient(Redis.from_pool(pool))

    def test_a_client_that_decodes(self) -> None:
        with pytest.raises(RedisMisuse, match="decodes"):
            RedisClient(connect("redis://127.0.0.1/0?decode_responses=true"))

    def test_what_is_no_client(self) -> None:
        with pytest.raises(RedisMisuse, match=r"no redis\.Redis"):
            RedisClient("redis://127.0.0.1")  # type: ignore[arg-type]  # the mistake

    def test_one_that_is_made_by_hand_as_the_message_says(self) -> None:
        pool = BlockingConnectionPool(retry=Retry(NoBackoff(), 0), **self.BOUNDED)

        RedisClient(Redis.from_pool(pool)).close()


def test_one_failure_is_tolerated(client: RedisClient, ask: Ask, redis_server: RedisServer) -> None:
    with redis_server.frozen():
        assert not ask(client)

    assert client.is_available
    assert ask(client)


def test_an_outage_is_logged_once(client: RedisClient, ask: Ask, redis_server: RedisServer) -> None:
    with capture_logs() as events:
        redis_server.kill()
        for _ in range(20):
            ask(client)
        redis_server.start()
        await_recovery(client)
        client.close()  # ends the thread that logs

    assert [event["event"] for event in events] == ["circuit_opened", "circuit_closed"]


def test_a_closed_client_leaves_no_thread(
    client: RedisClient, ask: Ask, redis_server: RedisServer
) -> None:
    redis_server.kill()
    for _ in range(TOLERATED_FAILURES):
        ask(client)

    assert "redis-breaker" in [thread.name for thread in threading.enumerate()]

    client.close()

    assert "redis-breaker" not in [thread.name for thread in threading.enumerate()]


def test_readiness_asks_it(settings: Settings, redis_server: RedisServer) -> None:
    app = create_app(settings.model_copy(update={"redis_url": redis_server.url}))

    def state() -> str:
        answer = app.test_client().get("/readyz").get_json()
        return str(answer["services"]["redis"]["status"])

    assert state() == "ok"
    redis_server.kill()
    assert state() == "unavailable"
    app.close()
