"""Gunicorn's threaded worker, with what it lacks.

That is: stopping, replacement, errors in our shape, bodies that nobody reads, clients that are
slow to ask, and a sign of life while every thread is taken.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from secrets import token_hex
from selectors import EVENT_READ
from typing import Any, cast
from weakref import WeakKeyDictionary

from gunicorn.http.errors import (
    InvalidRequestLine,
    LimitRequestHeaders,
    NoMoreData,
    ParseException,
)
from gunicorn.workers.gthread import DEFAULT_WORKER_DATA_TIMEOUT, ThreadWorker

from strongback.exceptions import APIException, BadRequest

FIRST_SERVER_ERROR = HTTPStatus.INTERNAL_SERVER_ERROR
MAX_HEAD = 32 * 1024
"""Bytes of a request's head: as many as a connection's buffer surely holds."""
HEAD_TIMEOUT = 10.0
"""Seconds in which a head must be complete; Nginx gives as many."""
END_OF_HEAD = b"\r\n\r\n"
TLS_HANDSHAKE = b"\x16\x03"
"""How every client of TLS begins (RFC 8446, 5.1)."""
PROBES = (b"GET /livez ", b"HEAD /livez ")
"""How the requests begin that have a thread of their own."""
NOT_ENCODED = (
    "The request's address holds characters other than ASCII; encode them as UTF-8 and with"
    " percent signs: 绿 is %E7%BB%BF (RFC 3986, 2.1)."
)
NO_TLS = "This port speaks HTTP without TLS: use http://, or the address of the proxy that has TLS."


class UnexpectedTLS(InvalidRequestLine):
    """A client began a TLS handshake."""

    def __str__(self) -> str:
        return NO_TLS


class Worker(ThreadWorker):
    """A `gthread` worker.

    It listens where its master lets it, see `gunicorn_listeners`, and takes over what waits there
    when it stops: at the end of the server nobody comes after it.

    A request is handed to a thread once its head is there: a client that is slow to ask, or never
    ends, costs a connection for `HEAD_TIMEOUT` and no thread. That the process lives (`/livez`)
    is said by a thread of its own, even while all others wait for a database.

    After `max_requests` Gunicorn's own worker stops and is then replaced; when all happen to stop
    at once, nobody accepts until the new ones have loaded the application. Here a worker asks its
    master for one more (SIGTTIN), and that one, once it can work, has the oldest stopped (SIGTTOU).
    """

    is_extra = False
    """Whether it was started beside those that it is to replace one of."""
    share = 0
    """The number of its share of the listeners."""
    max_unread = 0
    """How much of a body it still takes in, in bytes, once its request is answered."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._asking = threading.Lock()
        self._ask_from, self.max_requests = self.max_requests, sys.maxsize
        self._ask_again = 0.0
        self._deadlines: WeakKeyDictionary[Any, float] = WeakKeyDictionary()

    def init_process(self) -> None:
        """Make the thread that says that this process lives, and start."""
        self._probes = ThreadPoolExecutor(1, "livez")
        super().init_process()

    def enqueue_req(self, conn: Any) -> None:
        """Hand the connection's next request to a thread, once its head is complete."""
        head, is_complete = _look_at_head(conn)
        if head.startswith(TLS_HANDSHAKE):
            self._refuse(conn, UnexpectedTLS(""))
        elif is_complete or not self.alive:
            if self._deadlines.pop(conn, None) is not None:
                conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)
            self._submit(conn, head)
        elif len(head) < MAX_HEAD and self._has_time(conn):
            self._await_more(conn, len(head))
        else:
            is_large = len(head) >= MAX_HEAD
            self._refuse(conn, LimitRequestHeaders(f"over {MAX_HEAD} bytes") if is_large else None)

    def _refuse(self, conn: Any, error: ParseException | None) -> None:
        self.nr_conns -= 1
        if error is not None:
            self.handle_error(None, conn.sock, conn.client, error)
        self.tpool.submit(conn.close, graceful=True)

    def _submit(self, conn: Any, head: bytes) -> None:
        if not head.startswith(PROBES) or b"content-length:" in head.lower():
            super().enqueue_req(conn)
            return
        future = self._probes.submit(self.handle, conn)
        future.add_done_callback(
            lambda done: self.method_queue.defer(self.finish_request, conn, done)
        )

    def _has_time(self, conn: Any) -> bool:
        now = time.monotonic()
        return now < self._deadlines.setdefault(conn, now + HEAD_TIMEOUT)

    def _await_more(self, conn: Any, size: int) -> None:
        # The bytes stay where they are, so that only one more makes the socket readable.
        conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, size + 1)
        conn.sock.settimeout(0)
        conn.timeout = self._deadlines[conn]
        self.pending_conns.append(conn)
        readable = partial(self.on_pending_socket_readable, conn)
        self.poller.register(conn.sock, EVENT_READ, readable)

    def handle_request(self, req: Any, conn: Any) -> Any:
        """Answer, and ask for a successor where it is time.

        An answer that needed no body (401, 413) is lost to a client, Nginx too, that is still
        sending it when the connection is closed. So the rest is read, within bounds, and dropped.
        """
        try:
            result = super().handle_request(req, conn)
        except BlockingIOError:  # it does not read what it has asked for
            self.log.debug("A client took no bytes for too long.")
            return False
        if self.nr >= self._ask_from:
            self._ask_for_successor()
        deadline = time.monotonic() + DEFAULT_WORKER_DATA_TIMEOUT
        try:
            return conn.parser.finish_body(deadline, self.max_unread) and result
        except (ParseException, NoMoreData) as error:
            # Answered already: a second answer would be taken for that to the next request.
            self.log.debug("The rest of a body could not be read: %s", error)
            return False

    def _ask_for_successor(self) -> None:
        with self._asking:
            if self.alive and time.monotonic() >= self._ask_again:
                # Should an older one be stopped in its place, it asks again; not so soon that a
                # successor which is still loading the application gets successors itself.
                self._ask_again = time.monotonic() + self.cfg.timeout
                os.kill(self.ppid, signal.SIGTTIN)

    def replace_oldest(self) -> None:
        """Have the master stop its oldest worker, if this one is there to replace one."""
        if self.is_extra:
            os.kill(self.ppid, signal.SIGTTOU)

    def set_accept_enabled(self, enabled: Any) -> None:
        """Start or pause accepting; a stopping worker accepts what waits, and nothing more."""
        super().set_accept_enabled(enabled)
        if not enabled and not self.alive:
            soon = time.monotonic() + DEFAULT_WORKER_DATA_TIMEOUT
            for conn in self.pending_conns:
                conn.timeout = min(conn.timeout or soon, soon)
        while not enabled and not self.alive and self.sockets:
            listener = self.sockets.pop()
            self._accept_waiting(listener)
            listener.close()

    def _accept_waiting(self, listener: socket.socket) -> None:
        waiting = True
        while waiting:
            before = self.nr_conns
            self.accept(listener)
            waiting = self.nr_conns > before

    def handle_error(self, req: Any, client: Any, addr: Any, exc: Any) -> None:
        """Answer what is not HTTP, as the application answers everything else."""
        answers = _JSONErrors(client, _advice(exc))
        super().handle_error(req, cast("socket.socket", answers), addr, exc)


def _look_at_head(conn: Any) -> tuple[bytes, bool]:
    """What has come of the next request's head, left where it is, and whether it is all.

    It also is where the client has gone, or no more can make it right: the parser will say so.
    """
    head: bytes = conn.parser.unreader.buf.getvalue() if conn.parser else b""
    try:
        waiting = conn.sock.recv(MAX_HEAD, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return head, END_OF_HEAD in head
    except OSError:
        return head, True
    head += waiting
    if not waiting or END_OF_HEAD in head:
        return head, True
    return head, head.count(b"\n") != head.count(b"\r\n")  # a bare line feed, which is refused


def _advice(error: Exception) -> str | None:
    if isinstance(error, UnexpectedTLS):
        return NO_TLS
    is_encoded = not isinstance(error, InvalidRequestLine) or error.req.isascii()
    return None if is_encoded else NOT_ENCODED


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
        with suppress(OSError):  # the client has gone; nobody is left to tell
            self._client.sendall(error_answer(status, self._message))


def error_answer(status: HTTPStatus, message: str | None = None) -> bytes:
    """A whole HTTP/1.1 answer for a request that never reached the application."""
    from strongback.web.json import dump  # noqa: PLC0415  the master decides when it is loaded

    request_id = token_hex(16)
    facts = {
        "code": status.value,
        "error_code": (BadRequest if status < FIRST_SERVER_ERROR else APIException).error_code,
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
