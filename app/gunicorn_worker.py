"""Gunicorn's threaded worker, with what it lacks: stopping, replacement, errors, refused bodies."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from contextlib import suppress
from http import HTTPStatus
from secrets import token_hex
from typing import Any, cast

from gunicorn.workers.gthread import DEFAULT_WORKER_DATA_TIMEOUT, ThreadWorker

from app.core.exceptions import APIException, BadRequest

FIRST_SERVER_ERROR = HTTPStatus.INTERNAL_SERVER_ERROR


class Worker(ThreadWorker):
    """A `gthread` worker.

    It listens where its master lets it, see `app.gunicorn_listeners`, and takes over what waits
    there when it stops: at the end of the server nobody comes after it.

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

    def handle_request(self, req: Any, conn: Any) -> Any:
        """Answer, and ask for a successor where it is time.

        An answer that needed no body (401, 413) is lost to a client, Nginx too, that is still
        sending it when the connection is closed. So the rest is read, within bounds, and dropped.
        """
        result = super().handle_request(req, conn)
        if self.nr >= self._ask_from:
            self._ask_for_successor()
        deadline = time.monotonic() + DEFAULT_WORKER_DATA_TIMEOUT
        return conn.parser.finish_body(deadline, self.max_unread) and result

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
        super().handle_error(req, cast("socket.socket", _JSONErrors(client)), addr, exc)


class _JSONErrors:
    """A client's socket on which Gunicorn's page of HTML becomes our one shape of error."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def sendall(self, page: bytes) -> None:
        """Send the page's status with a body of ours."""
        status = HTTPStatus(int(page.split(b" ", 2)[1]))
        with suppress(OSError):  # the client has gone; nobody is left to tell
            self._client.sendall(error_answer(status))


def error_answer(status: HTTPStatus) -> bytes:
    """A whole HTTP/1.1 answer for a request that never reached the application."""
    from app.core.web.json import dump  # noqa: PLC0415  the master decides when it is loaded

    request_id = token_hex(16)
    facts = {
        "code": status.value,
        "error_code": (BadRequest if status < FIRST_SERVER_ERROR else APIException).error_code,
        "message": status.description or status.phrase,
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
