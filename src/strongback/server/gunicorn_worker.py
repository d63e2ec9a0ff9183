"""Gunicorn's threaded worker, with errors in our shape and no connection lost at a stop."""

from __future__ import annotations

import multiprocessing
import socket
import struct
import sys
import time
from contextlib import suppress
from http import HTTPStatus
from secrets import token_hex
from typing import Any, NoReturn, cast

from gunicorn.errors import AppImportError
from gunicorn.http.errors import InvalidRequestLine, NoMoreData, ParseException
from gunicorn.workers.gthread import ThreadWorker

from strongback.exceptions import APIException, BadRequest, ConfigurationError

PATIENCE = 10
"""Seconds in which a client must send or take something; it holds a thread meanwhile."""
CHUNK = 8_192
"""Bytes that Gunicorn takes from a socket at once."""
TLS_HANDSHAKE = "\x16\x03"
"""How every client of TLS begins (RFC 8446, 5.1)."""
NOT_ENCODED = (
    "The request's address holds characters other than ASCII; encode them as UTF-8 and with"
    " percent signs: 绿 is %E7%BB%BF (RFC 3986, 2.1)."
)
NO_TLS = "This port speaks HTTP without TLS: use http://, or the address of the proxy that has TLS."


# Inherited by all workers of a master; nobody lets go of it.
_first_refusal = multiprocessing.Lock()


def refuse(error: ConfigurationError) -> NoReturn:
    """End the server with one line, from a worker; what a person can mend needs no traceback.

    Only the first worker says so: Gunicorn fails with a traceback of its own if a second one tells
    it the same while it stops.
    """
    if not _first_refusal.acquire(block=False):
        sys.exit()
    raise AppImportError(f"Error: {error}") from error


class Worker(ThreadWorker):
    """A `gthread` worker."""

    def init_process(self) -> None:
        """Let the kernel end each read or write that waits too long; connections inherit it."""
        seconds = struct.pack("ll", PATIENCE, 0)  # a struct timeval
        for listener in self.sockets:
            for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
                with suppress(OSError):  # a kind of socket that has none
                    listener.setsockopt(socket.SOL_SOCKET, option, seconds)
        super().init_process()

    def load_wsgi(self) -> None:
        """Load the application."""
        try:
            super().load_wsgi()
        except ConfigurationError as error:
            refuse(error)

    def handle_request(self, req: Any, conn: Any) -> Any:
        """Respond, and read the rest of the body.

        A client, Nginx too, that is still sending its body when the connection is closed loses
        the response that needed none (401, 413).
        """
        try:
            result = super().handle_request(req, conn)
        except BlockingIOError:  # it does not read what it has asked for
            self.log.debug("A client took no bytes for too long.")
            return False
        deadline = time.monotonic() + PATIENCE
        try:
            while req.body.read(CHUNK):  # Gunicorn's own way takes 8 times as long, 1 KiB a read
                if time.monotonic() > deadline:
                    return False
        except (ParseException, NoMoreData, BlockingIOError) as error:
            # A second response would be taken for that to the next request.
            self.log.debug("The rest of a body could not be read: %s", error)
            return False
        return result

    def set_accept_enabled(self, enabled: Any) -> None:
        """Start or pause accepting; a stopping worker first accepts what waits."""
        super().set_accept_enabled(enabled)
        while not enabled and not self.alive and self.sockets:
            listener = self.sockets.pop()
            waiting = True
            while waiting:
                before = self.nr_conns
                self.accept(listener)
                waiting = self.nr_conns > before
            listener.close()

    def handle_error(self, req: Any, client: Any, addr: Any, exc: Any) -> None:
        """Respond to what is not HTTP in the shape of the application's errors."""
        errors = _JSONErrors(client, _advice(exc))
        super().handle_error(req, cast("socket.socket", errors), addr, exc)


def _advice(error: Exception) -> str | None:
    if not isinstance(error, InvalidRequestLine):
        return None
    if error.req.startswith(TLS_HANDSHAKE):
        return NO_TLS
    return None if error.req.isascii() else NOT_ENCODED


class _JSONErrors:
    """A client's socket on which Gunicorn's page of HTML becomes our one shape of error."""

    def __init__(self, client: Any, message: str | None) -> None:
        self._client = client
        self._message = message

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def sendall(self, page: bytes) -> None:
        """Send the page's status with a body of ours."""
        status = HTTPStatus(int(page.split(b" ", 2)[1]))
        with suppress(OSError):  # the client has gone
            self._client.sendall(error_response(status, self._message))


def error_response(status: HTTPStatus, message: str | None = None) -> bytes:
    """Return an HTTP/1.1 response to a request that never reached the application."""
    from strongback.web.json import dump  # noqa: PLC0415  the master decides when it is loaded

    request_id = token_hex(16)
    kind = APIException if status >= HTTPStatus.INTERNAL_SERVER_ERROR else BadRequest
    facts = {
        "code": status.value,
        "error_code": kind.error_code,
        "message": message or status.description or status.phrase,
        "request_id": request_id,
    }
    body = dump(facts)
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\n"
        "Connection: close\r\n"
        "Content-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n"
        "Cache-Control: no-store\r\n"
        "X-Content-Type-Options: nosniff\r\n"
        f"X-Request-ID: {request_id}\r\n\r\n"
    )
    return head.encode("ascii") + body
