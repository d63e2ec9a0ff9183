from __future__ import annotations

import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from app.core.config import ROOT
from strongback.realtime.handover import hand_over, head_of
from strongback.testing.port import free_port
from tests.support import handover_app

DEADLINE = 30
UPGRADE = (
    b"GET /connection/websocket?format=protobuf HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n"
    b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
ENVIRON = {
    "REQUEST_METHOD": "GET",
    "PATH_INFO": "/connection/websocket",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "HTTP_UPGRADE": "websocket",
}


def _refuse(_connection: socket.socket, _head: bytes) -> bool:
    raise AssertionError("nothing was to be handed over")


class TestWithoutGunicorn:
    """A server that gives no socket, or a request that wants none, is the application's."""

    @pytest.mark.parametrize(
        "changes",
        [{}, {"PATH_INFO": "/", "gunicorn.socket": None}, {"HTTP_UPGRADE": "h2c"}],
        ids=["no socket", "another path", "another protocol"],
    )
    def test_the_application_responds(self, changes):
        application = hand_over(lambda environ, start: [b"own"], _refuse)

        assert application({**ENVIRON, **changes}, print) == [b"own"]

    def test_nobody_serves_it_before_the_start_and_after_the_end(self):
        ours, theirs = socket.socketpair()
        statuses: list[str] = []
        application = hand_over(lambda environ, start: [b"own"], lambda sock, head: False)
        with ours, theirs:
            application(
                ENVIRON | {"gunicorn.socket": ours}, lambda status, headers: statuses.append(status)
            )
            theirs.settimeout(DEADLINE)
            assert theirs.recv(1) == b""


def test_the_head_is_the_clients():
    environ = ENVIRON | {"RAW_URI": "/connection/websocket?a=%20b", "HTTP_SEC_WEBSOCKET_KEY": "k="}

    assert head_of(environ) == (
        b"GET /connection/websocket?a=%20b HTTP/1.1\r\nUpgrade: websocket\r\n"
        b"Sec-Websocket-Key: k=\r\n\r\n"
    )


@pytest.fixture(scope="module")
def port(starts_processes) -> Iterator[int]:
    """Gunicorn as it is installed, with the worker that it brings."""
    port = free_port()
    command = [
        *(sys.executable, "-m", "gunicorn.app.wsgiapp", "--bind", f"127.0.0.1:{port}"),
        *("--worker-class", "gthread", "--threads", "4", "--no-control-socket"),
        *("--config", f"python:{handover_app.__name__}"),
        f"{handover_app.__name__}:application",
    ]
    process = subprocess.Popen(command, cwd=ROOT)
    try:
        deadline = time.monotonic() + DEADLINE
        while True:
            try:
                counts(port)
                break
            except OSError:
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait(DEADLINE)


def counts(port: int) -> list[str]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=DEADLINE) as response:
        found: list[str] = response.read().decode().split()
    return found


def wait_for(port: int, expected: list[str]) -> None:
    deadline = time.monotonic() + DEADLINE
    while (found := counts(port)[:2]) != expected:
        assert time.monotonic() < deadline, found


def connect(port: int) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", port), DEADLINE)
    client.sendall(UPGRADE)
    head = client.recv(4096)
    assert head.startswith(b"HTTP/1.1 101 Switching Protocols\r\n"), head
    return client


def test_gunicorn_gives_the_socket_of_a_request(port):
    """The contract: Gunicorn does not document `environ["gunicorn.socket"]`."""
    assert counts(port)[2:] == ["ThreadWorker", "True"]


def test_the_worker_counts_none_of_a_thousand_connections(port):
    with ExitStack() as clients:
        for _ in range(1000):
            clients.enter_context(connect(port))
        # The one is the question itself; the worker may still close that of the question before.
        wait_for(port, ["1", "1000"])
    wait_for(port, ["1", "0"])
