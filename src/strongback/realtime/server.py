"""The realtime server: WebSockets on an event loop of its own, in a thread.

server = RealtimeServer(broker, registry, authenticate, authorize)
server.start()
server.listen("127.0.0.1", 8001)      # or server.adopt(sock, head), from any thread
...
server.stop()
"""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from strongback.log.setup import get_logger
from strongback.realtime.broker import BrokerUnavailable, ServerBroker
from strongback.realtime.channel import ChannelRegistry
from strongback.realtime.connection import Connection
from strongback.realtime.hub import Hub
from strongback.realtime.message import ClientInfo, Close, Publication
from strongback.realtime.options import Authenticate, Authorize, Options
from strongback.realtime.recovery import Call
from strongback.realtime.subscription import Environment
from strongback.realtime.users import Users

TICK = 0.5
"""Seconds between looks at what is due."""
RENEWAL = 27.0
"""Seconds between renewals of presence, and comparisons of positions."""
GOODBYE = 1.0
"""Seconds in which clients may answer the end of the server."""
BACKLOG = 4096
"""Connections that wait to be accepted, such as those that another server has lost."""
AUTHORIZERS = 4
"""Threads in which the application is asked."""

ResultT = TypeVar("ResultT")
log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of a server, for metrics and commands."""

    connections: int
    users: int
    channels: int
    subscriptions: int
    is_listening: bool
    """Whether the broker's messages arrive."""
    received: int
    """Publications from the broker to channels of this process, since the start."""
    sent: int
    """Frames to clients with what was published, since the start."""
    closed: dict[int, int]
    """Connections that the server has closed, by code."""


class RealtimeServer:
    """A server of this process. Every method may be called from any thread.

    It authenticates and authorizes in a pool of threads.
    """

    def __init__(
        self,
        broker: ServerBroker,
        registry: ChannelRegistry,
        authenticate: Authenticate,
        authorize: Authorize,
        options: Options | None = None,
    ) -> None:
        self.loop = _new_loop()
        self.connections: set[Connection] = set()
        self.closed: Counter[int] = Counter()
        self.environment = Environment(
            Hub(broker, self._call_later),
            Users(),
            broker,
            registry,
            authenticate,
            authorize,
            options or Options(),
            time.monotonic,
            time.time,
        )
        self._gate = ThreadPoolExecutor(AUTHORIZERS, "realtime-authorize")
        # One, so that what is noted of a connection is noted in order.
        self._broker_thread = ThreadPoolExecutor(1, "realtime-broker")
        self._thread = threading.Thread(target=self._run, name="realtime", daemon=True)
        self._is_draining = False
        self._renewed_at = time.monotonic()
        self._listeners: list[asyncio.AbstractServer] = []

    def start(self) -> None:
        """Start the thread."""
        _raise_descriptors()
        self._thread.start()
        self.environment.broker.listen(self)
        self.loop.call_soon_threadsafe(self._tick)

    def adopt(self, sock: socket.socket, head: bytes) -> None:
        """Serve a connection that another server has accepted, and read to its head's end."""
        asyncio.run_coroutine_threadsafe(self._adopt(sock, head), self.loop)

    def listen(self, host: str, port: int, *, is_shared: bool = False) -> int:
        """Accept connections on a port that others may share; return it. `OSError` if taken."""
        return self._in_loop(self._listen(host, port, is_shared=is_shared))

    def drain(self) -> None:
        """Accept no more connections; close all with 3001, so that clients come back elsewhere."""
        self._call(self._drain)

    def stop(self) -> None:
        """Drain, cut the connections of clients that do not close them, and end the thread."""
        if not self._thread.is_alive():
            self.loop.close()
            return
        self._in_loop(self._end())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.environment.broker.close()
        self._gate.shutdown(wait=False, cancel_futures=True)
        self._broker_thread.shutdown()

    def snapshot(self) -> Snapshot:
        """Return the numbers of the moment."""
        return self._in_loop(self._count())

    def executor(self, call: Call) -> Executor | None:
        """Return the threads that make a call; None if it returns at once."""
        if call.asks_application:
            return self._gate
        return None if self.environment.broker.is_local else self._broker_thread

    # What the broker tells, see `Receiver`

    def receive_publication(self, channel: str, publication: Publication, epoch: str) -> None:
        """Take a publication into the loop."""
        hub = self.environment.hub
        # A connection that enters later reads the stream, which has it.
        if channel in hub.channels:
            self._call(hub.receive_publication, channel, publication, epoch)

    def receive_presence(self, channel: str, info: ClientInfo, *, has_joined: bool) -> None:
        """Take the news that a connection has subscribed, or unsubscribed, into the loop."""
        hub = self.environment.hub
        if channel in hub.channels:
            self._call(partial(hub.receive_presence, channel, info, has_joined=has_joined))

    def receive_disconnect(self, user_id: int, session_id: str, close: Close) -> None:
        """Close the connections of a user or session."""
        self._call(self.environment.users.end, user_id, session_id, close)

    def receive_gap(self) -> None:
        """Compare the positions of all channels."""
        self._call(self._renew)

    def _call(self, function: Callable[..., None], *arguments: object) -> None:
        with suppress(RuntimeError):  # it has stopped
            self.loop.call_soon_threadsafe(function, *arguments)

    def _in_loop(self, work: Coroutine[Any, Any, ResultT]) -> ResultT:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result()

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        try:
            self.loop.run_forever()
        finally:
            self.loop.close()

    async def _adopt(self, sock: socket.socket, head: bytes) -> None:
        if self._is_draining:
            sock.close()
            return
        sock.setblocking(False)  # noqa: FBT003  the socket module's signature
        _, connection = await self.loop.connect_accepted_socket(partial(Connection, self), sock)
        connection.data_received(head)

    async def _listen(self, host: str, port: int, *, is_shared: bool) -> int:
        make = partial(Connection, self)
        listener = await self.loop.create_server(
            make, host, port, backlog=BACKLOG, reuse_port=is_shared
        )
        self._listeners.append(listener)
        found: int = listener.sockets[0].getsockname()[1]
        return found

    def _drain(self) -> None:
        self._is_draining = True
        for listener in self._listeners:
            listener.close()
        for connection in list(self.connections):
            connection.shut_down()

    async def _end(self) -> None:
        self._drain()
        until = time.monotonic() + GOODBYE
        while self.connections and time.monotonic() < until:  # noqa: ASYNC110  rare, and simple
            await asyncio.sleep(0.01)
        for connection in list(self.connections):
            connection.cut()
        await asyncio.sleep(0)  # the loop has to tell them

    async def _count(self) -> Snapshot:
        hub = self.environment.hub
        return Snapshot(
            connections=len(self.connections),
            users=len(self.environment.users),
            channels=len(hub.channels),
            subscriptions=sum(len(each.subscribers) for each in hub.channels.values()),
            is_listening=self.environment.broker.is_listening(),
            received=hub.received,
            sent=hub.sent,
            closed=dict(self.closed),
        )

    def _tick(self) -> None:
        now = time.monotonic()
        for connection in list(self.connections):
            connection.tick(now)
        self.environment.hub.retry()
        if now >= self._renewed_at + RENEWAL:
            self._renewed_at = now
            self._renew()
        self.loop.call_later(TICK, self._tick)

    def _renew(self) -> None:
        """Say who is still here, and look whether messages were missed without notice."""
        hub = self.environment.hub
        present: dict[str, list[ClientInfo]] = {}
        for connection in self.connections:
            for name, info in connection.present():
                present.setdefault(name, []).append(info)
        if present:
            hub.later(partial(self.environment.broker.add_presence, present))
        hub.receive_gap()

    def _call_later(
        self, function: Callable[[], Any], then: Callable[[Any], None] | None = None
    ) -> None:
        if self.environment.broker.is_local:
            result = function()
            if then is not None:
                then(result)
            return
        future = self.loop.run_in_executor(self._broker_thread, function)
        future.add_done_callback(partial(_take_result, then))


def _take_result(then: Callable[[Any], None] | None, future: asyncio.Future[Any]) -> None:
    error = future.exception()
    if error is not None and not isinstance(error, BrokerUnavailable):
        log.error("realtime_broker_failed", exc_info=error)
    if then is not None:
        then(None if error is not None else future.result())


def _new_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop  # noqa: PLC0415  a matter of the platform
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


def _raise_descriptors() -> None:
    """Let this process have as many connections as the system allows it."""
    with suppress(ImportError, OSError, ValueError):
        import resource  # noqa: PLC0415  Windows has none

        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
