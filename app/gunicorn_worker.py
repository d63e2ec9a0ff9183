"""Gunicorn's threaded worker, with two things put right: hand-over of sockets, and errors."""

from __future__ import annotations

import socket
from contextlib import suppress
from http import HTTPStatus
from secrets import token_hex
from typing import Any, cast

from gunicorn.workers.gthread import ThreadWorker

from app.core.exceptions import APIException, BadRequest
from app.core.web.json import dump

FIRST_SERVER_ERROR = HTTPStatus.INTERNAL_SERVER_ERROR


class Worker(ThreadWorker):
    """A `gthread` worker.

    Each worker listens on a socket of its own (SO_REUSEPORT), because connections that are kept
    alive would otherwise gather in whichever worker woke up first. Gunicorn keeps that socket
    open, and filling, until the last request is done, and then resets what waits in it; here a
    stopping worker takes over what waits and closes the socket at once, so that the kernel gives
    new connections to the others.
    """

    def set_accept_enabled(self, enabled: Any) -> None:
        """Start or pause accepting; when stopping, hand over instead."""
        super().set_accept_enabled(enabled)
        if enabled or self.alive or not self.cfg.reuse_port:
            return
        for listener in self.sockets:
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
