"""Gunicorn's listening sockets: as many as there are workers, in the keeping of their master.

With one socket for all, connections that are kept alive gather in whichever worker woke up first.
With one that each worker opens itself (Gunicorn's `reuse_port`), the kernel spreads them evenly,
but resets whatever arrives between the last `accept()` of a stopping worker and its `close()`: a
write that is never answered, on every sixteenth replacement under load. Here the master holds
them all, and a worker shares the one of the worker that it replaces, so that none is closed
before the server itself stops.
"""

from __future__ import annotations

import ctypes
import socket
import struct
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, cast

from gunicorn.sock import TCP6Socket, TCPSocket

if TYPE_CHECKING:
    from gunicorn.config import Config
    from gunicorn.glogging import Logger
    from gunicorn.sock import BaseSocket

SO_ATTACH_FILTER = 26
"""Linux's number, which Python does not name."""
DROP_NEW_CONNECTIONS = (
    (0x30, 0, 0, 13),  # load the TCP header's flags
    (0x54, 0, 0, 0x12),  # of these, SYN and ACK
    (0x15, 0, 1, 0x02),  # SYN alone?
    (0x06, 0, 0, 0),  # drop it
    (0x06, 0, 0, 0xFFFFFFFF),  # else let it pass
)
"""A program for the kernel's packet filter: operation, two jumps, operand."""


PATIENCE = 10
"""Seconds in which a client must send or take some of a body, which holds a thread meanwhile."""


def open_listeners(config: Config, log: Logger, count: int) -> list[BaseSocket]:
    """Listen `count` times at the one TCP address; nothing where there is another kind.

    Raises:
        OSError: The address cannot be used.
    """
    match config.address:
        case [(str() as host, int()) as address]:
            kind = TCP6Socket if ":" in host else TCPSocket
            sockets = [
                socket.create_server(
                    address, family=kind.FAMILY, backlog=config.backlog, reuse_port=True
                )
                for _ in range(count)
            ]
            for item in sockets:
                _bound_idleness(item)
            name = cast("str", address)  # the stubs know the names of Unix sockets alone
            return [kind(name, config, log, item.detach()) for item in sockets]
        case _:
            return []


def _bound_idleness(listener: socket.socket) -> None:
    """Let the kernel end each read or write that waits too long; connections inherit it."""
    seconds = struct.pack("ll", PATIENCE, 0)  # a struct timeval
    for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
        with suppress(OSError):
            listener.setsockopt(socket.SOL_SOCKET, option, seconds)


def choose_share(siblings: Iterable[tuple[int, int]], shares: int) -> int:
    """Which of so many shares of the listeners a new worker is to serve.

    That with the fewest workers; of several, that of the oldest, who is the next to stop.

    Args:
        siblings: Number by age, the oldest's being the lowest, and share of each worker.
        shares: How many there are.
    """
    ages: list[list[int]] = [[] for _ in range(shares)]
    for age, share in sorted(siblings):
        if share < shares:
            ages[share].append(age)
    return min(range(shares), key=lambda share: (len(ages[share]), ages[share]))


def turn_away(listeners: Sequence[BaseSocket]) -> None:
    """Have the kernel ignore who wants to connect from now on; who has connected is let in.

    After this a listener can be emptied and then closed without a connection being reset in
    between. A client that is ignored asks again within a second, and is refused or meets another
    server. Elsewhere than on Linux this does nothing.
    """
    if sys.platform != "linux":
        return
    operations = b"".join(struct.pack("HBBI", *operation) for operation in DROP_NEW_CONNECTIONS)
    code = ctypes.create_string_buffer(operations, len(operations))
    program = struct.pack("HP", len(DROP_NEW_CONNECTIONS), ctypes.addressof(code))
    for listener in listeners:
        with suppress(OSError):  # a sandbox without packet filters
            listener.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)
