"""What a server is told: its place, who decides about tokens and channels, and its bounds."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from strongback.realtime.channel import Grant
from strongback.realtime.message import Identity

PATH = "/connection/websocket"
"""Path of the WebSocket, as Centrifugo has it."""
_PORT = re.compile(":[0-9]*$")

Authenticate = Callable[[str], Identity]
"""Returns whose connection token it is. Raises `Refused(TOKEN_EXPIRED)` for one that has expired,
`Disconnected(INVALID_TOKEN)` for every other that is not valid."""
Authorize = Callable[[Identity, str, str], Grant | None]
"""Returns what a user gets with a channel (identity, channel, subscription token or ""); None if it
may not subscribe, or the token is not valid. Raises `Refused(TOKEN_EXPIRED)` for an expired one."""


@dataclass(frozen=True, slots=True)
class Options:
    """What a server lets in, and its bounds; tests take shorter times."""

    origins: tuple[str, ...] = ()
    """Values of `Origin` that are let in; a request without one always is."""
    page_port: int | None = None
    """Port of the application's own pages, where it is not the one of this server."""
    frame: int = 64 * 1024
    """Bytes of a message from a client."""
    channels: int = 128
    """Subscriptions of a connection."""
    connections_per_user: int = 20
    connect_seconds: float = 5.0
    """Time from the handshake's begin to the connect command."""
    rate: float = 50.0
    """Commands in a second."""
    burst: int = 100
    """Commands at once."""
    write_buffer: int = 256 * 1024
    """Bytes that wait for a client that does not read."""
    authorize_seconds: float = 2.0
    ping_seconds: float = 25.0
    pong_seconds: float = 8.0


def with_port(host: str, port: int) -> str:
    """Return a value of `Host` with another port."""
    return f"{_PORT.sub('', host)}:{port}"
