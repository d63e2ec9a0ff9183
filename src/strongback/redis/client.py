"""Redis: a client that gives up quickly, and does not ask again while nobody answers.

redis-py's defaults keep a caller waiting for seconds (a refused connection) or nearly a minute (a
server that hangs). `connect` makes a client that takes a few tenths of a second at most. After a
few failures in a row `RedisClient` opens its circuit: calls fail at once until a ping is answered.

    redis = RedisClient(connect("redis://127.0.0.1:6379/0"))
    try:
        value = redis.call(lambda client: client.get("key"))
    except RedisUnavailable:
        ...  # each caller decides what to do without
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from redis import BlockingConnectionPool, Redis, RedisError
from redis.backoff import NoBackoff
from redis.commands.core import Script
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError
from redis.retry import Retry

from strongback.circuit_breaker import CircuitBreaker
from strongback.fork import reset_in_children
from strongback.redis.error import RedisMisuse, RedisUnavailable

ResultT = TypeVar("ResultT")

TIMEOUT = 0.2
"""Seconds for connecting, for a response, and for a free connection; each at most."""
PING_INTERVAL = 0.5
"""Seconds between pings while Redis is away."""
KEPT = 4
"""Connections that `execute` keeps. To lend one and take it back the pool takes a third of the time
of a `GET`, and redis-py's client another fifth."""


def connect(url: str, *, connections: int = 16, timeout: float | None = None) -> Redis:
    """Return a redis-py client as Strongback needs it.

    It waits for a free connection instead of failing, has short time-outs, and retries nothing.

    Args:
        url: `redis://` or, with TLS, `rediss://`.
        connections: Most connections that this process may hold; a thread needs one at a time.
        timeout: Seconds for connecting, for a response, and for a free connection; `TIMEOUT`
            unless given.
    """
    seconds = TIMEOUT if timeout is None else timeout
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=connections,
        timeout=seconds,
        socket_timeout=seconds,
        socket_connect_timeout=seconds,
        retry=Retry(NoBackoff(), 0),
    )
    return Redis.from_pool(pool)


class RedisClient:
    """A redis-py client behind a circuit breaker. Safe to share between threads.

    Args:
        server: A client with time-outs, no retries, and a pool that waits; see `connect`.

    Raises:
        RedisMisuse: The client would keep its callers waiting, or fail them for lack of a
            connection.
    """

    def __init__(self, server: Redis) -> None:
        _require_bounded(server)
        self.server = server
        """The redis-py client, for subscriptions and scripts; commands go through `call`."""
        self.reset_after_fork()
        reset_in_children(self)

    @classmethod
    def of(cls, client: Redis | RedisClient) -> RedisClient:
        """Return the client itself, or a redis-py client behind a circuit breaker of its own.

        Raises:
            RedisMisuse: It is neither, or not as it has to be.
        """
        return client if isinstance(client, RedisClient) else cls(client)

    @property
    def is_available(self) -> bool:
        """True unless Redis is known not to answer."""
        return not self._breaker.is_open

    def call(self, command: Callable[[Redis], ResultT]) -> ResultT:
        """Run commands of the redis-py client.

        Raises:
            RedisUnavailable: Redis did not answer; raised at once where that is known already.
        """
        return self._guard(lambda: command(self.server))

    def execute(
        self, *command: str | bytes | int, **options: object
    ) -> Any:  # noqa: ANN401  as redis-py
        """Run one command on a connection that is kept for such, in two thirds of the time.

        Args:
            *command: The command and its arguments. It must bear being run twice: a connection that
                the server has closed is noticed by its use.
            **options: Options of redis-py's `execute_command`, such that it does not change the
                response.

        Raises:
            RedisUnavailable: As `call`.
        """
        return self._guard(lambda: self._execute(command, options))

    def run_script(
        self, script: Script, keys: Sequence[bytes], arguments: Sequence[str | bytes | int]
    ) -> Any:  # noqa: ANN401  as redis-py
        """Run a script of `server.register_script` as `execute` runs a command.

        Raises:
            RedisUnavailable: As `call`.
        """

        def run() -> Any:  # noqa: ANN401  as redis-py
            try:
                return self._execute(("EVALSHA", script.sha, len(keys), *keys, *arguments), {})
            except NoScriptError:  # the server has started anew
                return script(keys, arguments)

        return self._guard(run)

    def _execute(
        self, command: tuple[str | bytes | int, ...], options: dict[str, object]
    ) -> Any:  # noqa: ANN401  as redis-py
        try:
            kept = self._kept.pop()
        except IndexError:  # all are in use
            return self.server.execute_command(*command, **options)  # type: ignore[no-untyped-call]  # redis-py
        try:
            if kept is None:
                kept = self.server.connection_pool.get_connection()
            kept.send_command(*command)
            return kept.read_response()
        except RedisConnectionError:  # closed by the server meanwhile, most likely
            return self.server.execute_command(*command, **options)  # type: ignore[no-untyped-call]  # redis-py
        except RedisError:
            raise  # the response has been read, or redis-py has closed the connection
        except BaseException:  # a task's time limit: the response would be taken for the next one's
            if kept is not None:
                kept.disconnect()
            raise
        finally:
            self._kept.append(kept)

    def _guard(self, work: Callable[[], ResultT]) -> ResultT:
        breaker = self._breaker
        if breaker.opened_at is not None and breaker.is_open:
            raise RedisUnavailable("Redis has not answered for a while.")
        try:
            result = work()
        except RedisError as error:
            reason = f"{type(error).__name__}: {error}"
            breaker.note_failure(reason)
            raise RedisUnavailable(f"Redis: {reason}") from error
        if breaker.failures:
            breaker.note_success()
        return result

    def ping(self) -> None:
        """Ask Redis for a sign of life, whatever is known about it.

        Raises:
            RedisError: There was none.
        """
        self.server.ping()

    def close(self) -> None:
        """Close every connection, and end the breaker's thread."""
        self._breaker.close()
        self._kept.clear()
        self.server.close()

    def reset_after_fork(self) -> None:
        """Leave the parent's connections and threads behind; also sets up the first state."""
        kept = min(KEPT, self.server.connection_pool.max_connections // 2)
        self._kept: deque[Any] = deque([None] * kept)
        self._breaker = CircuitBreaker("redis", self._answers, pause=PING_INTERVAL)

    def _answers(self) -> bool:
        try:
            self.ping()
        except RedisError:
            return False
        return True


def _require_bounded(server: object) -> None:
    """Refuse a client that defeats going on without Redis; the message names its options."""
    if not isinstance(server, Redis):
        raise RedisMisuse(f"{server!r} is no redis.Redis; write strongback.redis.connect(url)")
    pool, options = server.connection_pool, server.get_connection_kwargs()
    problems = [
        f"it has no {name}"
        for name in ("socket_timeout", "socket_connect_timeout")
        if options.get(name) is None
    ]
    retry = server.get_retry()
    if retry is None or retry.get_retries() != 0:
        problems.append("it retries, waiting in between")
    if not isinstance(pool, BlockingConnectionPool):
        problems.append("its pool raises an error instead of waiting when all connections are used")
    elif pool.timeout is None:
        problems.append("its pool waits for a connection without end")
    if options.get("decode_responses"):
        problems.append("it decodes responses, which are bytes here")
    if problems:
        raise RedisMisuse(
            f"this redis.Redis would keep callers waiting or fail them: {'; '.join(problems)}."
            " Write strongback.redis.connect(url), or Redis.from_pool(BlockingConnectionPool("
            "socket_timeout=0.2, socket_connect_timeout=0.2, timeout=0.2,"
            " retry=Retry(NoBackoff(), 0)))"
        )
