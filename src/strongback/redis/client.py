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

import os
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TypeVar
from weakref import WeakSet

from redis import BlockingConnectionPool, Redis, RedisError
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.retry import Retry

from strongback.log.setup import get_logger
from strongback.redis.error import RedisMisuse, RedisUnavailable

log = get_logger(__name__)

ResultT = TypeVar("ResultT")

TIMEOUT = 0.2
"""Seconds for connecting, for a response, and for a free connection; each at most."""
TOLERATED_FAILURES = 3
"""Failures in a row before Redis counts as gone. One may be a connection that had gone stale."""
PING_INTERVAL = 0.5
"""Seconds between the watcher's pings."""
KEPT = 4
"""Connections that are kept out of the pool, which takes a third of the time of a `GET` to lend
one and take it back."""


def no_retry() -> Retry:
    """Return a policy for redis-py that gives up at the first failure."""
    return Retry(NoBackoff(), 0)


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
        retry=no_retry(),
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
        self._lock = threading.Lock()
        self._failures = 0
        self._gone_since: float | None = None
        self._watcher: threading.Thread | None = None
        self._closed = threading.Event()
        self.reset_after_fork()
        _clients.add(self)

    @classmethod
    def of(cls, client: Redis | RedisClient) -> RedisClient:
        """Return the client itself, or a redis-py client behind a circuit breaker of its own.

        Raises:
            RedisMisuse: It is neither, or not as it has to be.
        """
        return client if isinstance(client, RedisClient) else cls(client)

    @property
    def is_available(self) -> bool:
        """Whether Redis answered when it was last asked, as far as is known."""
        return self._gone_since is None

    def call(self, command: Callable[[Redis], ResultT]) -> ResultT:
        """Run a command.

        Args:
            command: Takes the redis-py client. It must bear being run twice: a connection that the
                server has closed is noticed by its use.

        Raises:
            RedisUnavailable: Redis did not answer; raised at once where that is known already.
        """
        if self._gone_since is not None:
            self._watch()
            raise RedisUnavailable("Redis has not answered for a while.")
        try:
            result = self._run(command)
        except RedisError as error:
            self._note_failure(error)
            raise RedisUnavailable(f"Redis: {type(error).__name__}: {error}") from error
        self._failures = 0
        return result

    def _run(self, command: Callable[[Redis], ResultT]) -> ResultT:
        try:
            kept = self._kept.pop()
        except IndexError:  # all are in use
            return command(self.server)
        try:
            if kept is None:
                kept = self.server.client()  # type: ignore[no-untyped-call]  # redis-py
            return command(kept)
        except RedisConnectionError:  # closed by the server meanwhile, most likely
            return command(self.server)
        finally:
            self._kept.append(kept)

    def ping(self) -> None:
        """Ask Redis for a sign of life, whatever is known about it.

        Raises:
            RedisError: There was none.
        """
        self.server.ping()

    def close(self) -> None:
        """Close every connection, and end the watcher."""
        self._closed.set()
        if self._watcher and self._watcher.is_alive():
            self._watcher.join()
        self._kept.clear()
        self.server.close()

    def reset_after_fork(self) -> None:
        """Leave the parent's connections behind; also sets up the first ones."""
        kept = min(KEPT, self.server.connection_pool.max_connections // 2)
        self._kept: deque[Redis | None] = deque([None] * kept)

    def _note_failure(self, error: RedisError) -> None:
        with self._lock:
            self._failures += 1
            if self._failures < TOLERATED_FAILURES or self._gone_since is not None:
                return
            self._gone_since = time.monotonic()
        log.warning("redis_unavailable", error=type(error).__name__, reason=str(error))
        self._watch()

    def _watch(self) -> None:
        # A forked child inherits the state and not the thread, so its being alive is asked.
        if self._watcher and self._watcher.is_alive():
            return
        with self._lock:
            if self._closed.is_set() or (self._watcher and self._watcher.is_alive()):
                return
            self._watcher = threading.Thread(target=self._await_answer, name="redis", daemon=True)
            self._watcher.start()

    def _await_answer(self) -> None:
        while not self._closed.wait(PING_INTERVAL):
            try:
                self.ping()
            except RedisError:
                continue
            self._note_recovery()
            return

    def _note_recovery(self) -> None:
        with self._lock:
            since, self._gone_since, self._failures = self._gone_since, None, 0
        if since is not None:
            log.warning("redis_recovered", seconds=round(time.monotonic() - since, 1))


def _require_bounded(server: object) -> None:
    """Refuse a client that defeats going on without Redis.

    Raises:
        RedisMisuse: It is no redis-py client, or its options do not fit; the message names them.
    """
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


_clients: WeakSet[RedisClient] = WeakSet()


def _forget_parent() -> None:
    for client in _clients:
        client.reset_after_fork()


if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
    os.register_at_fork(after_in_child=_forget_parent)
