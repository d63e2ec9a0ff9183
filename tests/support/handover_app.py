"""A bare WSGI application under Gunicorn's own worker, which hands WebSockets over."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from strongback.realtime.handover import KEY, hand_over
from strongback.realtime.local_broker import LocalBroker
from strongback.realtime.server import RealtimeServer
from tests.support.realtime import Gate, SuiteChannels

held: dict[str, Any] = {}
"""The worker and the server of this process."""


def post_worker_init(worker: Any) -> None:
    """Gunicorn's hook: start the server, and say how many connections the worker counts."""
    gate = Gate(time.time)
    channels = SuiteChannels()
    server = RealtimeServer(LocalBroker(channels), channels, gate.authenticate, gate.authorize)
    server.start()
    held.update(worker=worker, server=server)


def worker_exit(_server: Any, _worker: Any) -> None:
    """Gunicorn's hook."""
    if "server" in held:  # else it has not started
        held["server"].stop()


def _count(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    server: RealtimeServer = held["server"]
    worker = held["worker"]
    numbers = worker.nr_conns, server.snapshot().connections, type(worker).__name__
    return [" ".join(map(str, (*numbers, KEY in environ))).encode()]


def _adopt(connection: Any, head: bytes) -> bool:
    held["server"].adopt(connection, head)
    return True


application = hand_over(_count, _adopt)
