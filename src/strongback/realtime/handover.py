"""WebSockets on the port of HTTP: Gunicorn hands a connection over to the realtime server.

A WSGI application may answer a request and no more, so what upgrades must leave the worker. The
connection's descriptor is duplicated, and in the worker's own place comes one that nobody reads:
whatever the worker does to it harms nothing, and it counts no connection.

`environ["gunicorn.socket"]` is what other WebSocket libraries rely on as well, and Gunicorn does
not document it: `tests/strongback/realtime/test_handover.py` says when it goes.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterable
from typing import Any

from strongback.realtime.options import PATH

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
WSGIApp = Callable[[Environ, StartResponse], Iterable[bytes]]
Adopt = Callable[[socket.socket, bytes], bool]
"""Takes a connection, and what was read of it; tells whether anybody serves it."""
KEY = "gunicorn.socket"


def hand_over(wsgi_app: WSGIApp, adopt: Adopt) -> WSGIApp:
    """Wrap an application: requests that upgrade to WebSocket leave, the rest is its own."""

    def handing_over(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"] != PATH or not _can_leave(environ):
            return wsgi_app(environ, start_response)
        connection = _take(environ[KEY])
        if not adopt(connection, head_of(environ)):
            connection.close()
        start_response("101 Switching Protocols", [("Connection", "close")])  # nobody reads it
        return ()

    return handing_over


def _can_leave(environ: Environ) -> bool:
    return KEY in environ and environ.get("HTTP_UPGRADE", "").lower() == "websocket"


def _take(own: socket.socket) -> socket.socket:
    """Return the connection, and leave a dead one in its place."""
    taken = socket.socket(fileno=os.dup(own.fileno()))
    ours, theirs = socket.socketpair()
    theirs.close()
    with ours:
        os.dup2(ours.fileno(), own.fileno())
    return taken


def head_of(environ: Environ) -> bytes:
    """Return the head of a request as the client has sent it, as far as anybody reads it."""
    address = environ.get("RAW_URI") or environ["PATH_INFO"]
    lines = [f"{environ['REQUEST_METHOD']} {address} {environ['SERVER_PROTOCOL']}"]
    for name, value in environ.items():
        if name.startswith("HTTP_"):
            lines.append(f"{name[5:].replace('_', '-').title()}: {value}")
    return "\r\n".join((*lines, "", "")).encode("latin-1")
