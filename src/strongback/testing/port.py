"""Ports of the tests' servers."""

from __future__ import annotations

import atexit
import socket
from contextlib import ExitStack

_kept = ExitStack()
atexit.register(_kept.close)


def free_port() -> int:
    """Return a port of the loopback address on which the caller's server alone will listen.

    A port that is merely looked for may be given to another process before the server listens, or
    while a test has taken the server away. Here a socket that never listens keeps it until the
    tests end: the system gives it to nobody, refuses who connects, and yet lets a server with
    SO_REUSEADDR listen, which every server sets.
    """
    keeper = socket.socket()
    keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    keeper.bind(("127.0.0.1", 0))
    _kept.enter_context(keeper)
    port: int = keeper.getsockname()[1]
    return port
