"""Redis: one client that gives up quickly, and does not ask again while nobody answers.

redis-py's own defaults wait and retry for seconds (a refused connection) or nearly a minute (a
server that hangs). Here a call takes a few tenths of a second at most; after a few failures in a
row the client is cut off, and costs its callers nothing until a watcher's ping is answered.

    redis = RedisClient("redis://127.0.0.1:6379/0", connections=16)
    try:
        value = redis.call(lambda server: server.get("key"))
    except RedisUnavailable:
        ...  # each caller decides what it does without
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar, cast

from redis import BlockingConnectionPool, Redis, RedisCluster, RedisError
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError
from redis.retry import Retry

from strongback.log.setup import get_logger
from strongback.redis.error import RedisUnavailable

log = get_logger(__name__)

ResultT = TypeVar("ResultT")
Server = Redis
"""redis-py's client, by the name that the rest of the application knows it by."""
ScriptMissing = NoScriptError
"""The server does not know a script by its hash: it has started anew."""

TIMEOUT = 0.2
"""Seconds for connecting, for an answer, and for a free connection; each at most."""
TOLERATED_FAILURES = 3
"""Failures in a row before Redis counts as gone. One may be a connection that had gone stale."""
PING_INTERVAL = 0.5
"""Seconds between the watcher's questions."""


def no_retry() -> Retry:
    """What redis-py is given so that it gives up at the first failure."""
    return Retry(NoBackoff(), 0)


class RedisClient:
    """A client that knows whether asking is worth while. Safe to share between threads.

    Args:
        url: `redis://` or, with TLS, `rediss://`.
        connections: The most that this process may hold; a thread needs one at a time.
        is_cluster: Whether the address is one of a Redis Cluster's nodes, which names the others.
    """

    def __init__(self, url: str, connections: int, *, is_cluster: bool = False) -> None:
        self.is_cluster = is_cluster
        limits: dict[str, Any] = {
            "max_connections": connections,
            "socket_timeout": TIMEOUT,
            "socket_connect_timeout": TIMEOUT,
            "retry": no_retry(),
        }
        if is_cluster:
            self.server: Server = cast("Server", RedisCluster.from_url(url, **limits))
        else:
            pool = BlockingConnectionPool.from_url(url, timeout=TIMEOUT, **limits)
            self.server = Redis(connection_pool=pool)
        """redis-py's client: for declaring scripts and the like; work goes through `call`."""
        self._lock = threading.Lock()
        self._failures = 0
        self._gone_since: float | None = None
        self._watcher: threading.Thread | None = None
        self._closed = threading.Event()

    @property
    def is_available(self) -> bool:
        """Whether Redis answered when it was last asked, as far as is known."""
        return self._gone_since is None

    def call(self, command: Callable[[Server], ResultT]) -> ResultT:
        """Run a command.

        Args:
            command: Is given redis-py's client.

        Raises:
            RedisUnavailable: It did not answer; at once where that is known already.
        """
        if self._gone_since is not None:
            self._watch()
            raise RedisUnavailable("Redis has not answered for a while.")
        try:
            result = command(self.server)
        except RedisError as error:
            self._note_failure(error)
            raise RedisUnavailable(f"Redis: {type(error).__name__}.") from error
        self._failures = 0
        return result

    def ping(self) -> None:
        """Ask Redis for a sign of life, whatever is known about it.

        Raises:
            RedisError: There was none.
        """
        self.server.ping()

    def close(self) -> None:
        """Let go of every connection and thread."""
        self._closed.set()
        if self._watcher and self._watcher.is_alive():
            self._watcher.join()
        if not self.is_cluster:
            self.server.connection_pool.disconnect()
            return
        cluster = cast("RedisCluster", self.server)
        for node in cluster.get_nodes():  # type: ignore[no-untyped-call]  # redis-py
            if node.redis_connection is not None:  # its own close() leaves their pools open
                node.redis_connection.connection_pool.disconnect()

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
