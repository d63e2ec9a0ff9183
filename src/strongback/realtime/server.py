"""The realtime server: WebSockets on an event loop of its own, in a thread.

server = RealtimeServer(broker, registry, authenticate, authorize)
server.start()
server.listen("127.0.0.1", 8001)      # or server.adopt(sock, head), from any thread
...
server.stop()
"""

from __future__ import annotations

import socket
from dataclasses import dataclass, field

from strongback.realtime.broker import Registry, ServerBroker
from strongback.realtime.options import Authenticate, Authorize, Options


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
    """Publications from the broker since the start."""
    sent: int
    """Frames with publications to clients since the start."""
    closed: dict[int, int] = field(default_factory=dict)
    """Connections that the server has closed, by code."""


class RealtimeServer:
    """A server of this process. Every method may be called from any thread.

    Args:
        broker: Where publications come from.
        registry: The declared channels.
        authenticate: Says whose token it is; called in a pool of threads.
        authorize: Says who may subscribe; called in the same pool.
        options: What it lets in, and its bounds; the defaults unless given.
    """

    def __init__(
        self,
        broker: ServerBroker,
        registry: Registry,
        authenticate: Authenticate,
        authorize: Authorize,
        options: Options | None = None,
    ) -> None:
        raise NotImplementedError

    def start(self) -> None:
        """Start the thread; it does nothing where it has been started."""

    def adopt(self, sock: socket.socket, head: bytes) -> None:
        """Serve a connection that another server has accepted.

        Args:
            sock: The connection, which is the server's from now on.
            head: What has been read of it: request line and headers.
        """

    def listen(self, host: str, port: int) -> int:
        """Accept connections; return the port, which differs from a given 0.

        Raises:
            OSError: The address is in use.
        """
        raise NotImplementedError

    def drain(self) -> None:
        """Accept no more connections; close all with 3001, so that clients come back elsewhere."""

    def stop(self) -> None:
        """Drain, wait for the connections to close, at most two seconds, and end the thread."""

    def snapshot(self) -> Snapshot:
        """Return the numbers of the moment."""
        raise NotImplementedError
