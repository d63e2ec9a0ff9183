"""Our own Nginx, `compose/nginx`, before servers of the tests."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.core.config import ROOT
from strongback.testing.mariadb import SEARCH_PATH
from strongback.testing.port import free_port
from tests.support.nginx import find_nginx

START_TIMEOUT = STOP_TIMEOUT = 60
START = ROOT / "compose" / "nginx" / "start.sh"


@pytest.fixture(scope="session")
def nginx(starts_processes: None) -> None:
    """Let the test start Nginx by `run_front` or `run_nginx`, where it is installed."""
    if find_nginx() is None or shutil.which("envsubst") is None:
        pytest.skip("Nginx or envsubst is not installed: its tests did not run")


@dataclass
class Front:
    """A running Nginx with the configuration that a deployment has."""

    port: int
    tls_port: int
    folder: Path

    @property
    def address(self) -> str:
        """Where clients reach it."""
        return f"http://127.0.0.1:{self.port}"

    def logged(self, request_id: str) -> list[dict[str, Any]]:
        """What it has logged up to this request; the last comes a moment after the answer."""
        deadline = time.monotonic() + STOP_TIMEOUT
        while True:
            lines = (self.folder / "access.log").read_text().splitlines()
            events = [json.loads(line) for line in lines]
            if any(event["request_id"] == request_id for event in events):
                return events
            assert time.monotonic() < deadline, lines
            time.sleep(0.02)


def _wait(front: Front, process: subprocess.Popen[bytes]) -> None:
    # That it takes a connection says nothing: checking its configuration, it listens too.
    deadline = time.monotonic() + START_TIMEOUT
    while process.poll() is None and time.monotonic() < deadline:
        with suppress(httpx.TransportError):
            httpx.get(f"{front.address}/nginx-health")
            return
        time.sleep(0.02)
    raise RuntimeError("Nginx did not start")


@contextmanager
def run_front(upstream: Sequence[int], **variables: str) -> Iterator[Front]:
    """Start it before servers on these ports of the loopback address.

    Args:
        upstream: The servers' ports.
        variables: What `compose/nginx/start.sh` reads beside them.
    """
    # Its workers belong to another user where the tests run as root, so pytest's folders are closed
    # to them.
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        front = Front(free_port(), free_port(), folder)
        defaults = {
            "PATH": SEARCH_PATH,
            "NGINX_LISTEN": f"127.0.0.1:{front.port}",
            "NGINX_TLS_LISTEN": f"127.0.0.1:{front.tls_port}",
            "NGINX_UPSTREAM": " ".join(f"127.0.0.1:{port}" for port in upstream),
            "NGINX_RUN": name,
            "NGINX_ACCESS_LOG": str(folder / "access.log"),
            "NGINX_RATE": "100000r/s",
        }
        process = subprocess.Popen([START], env=os.environ | defaults | variables)
        try:
            _wait(front, process)
            yield front
        finally:
            process.terminate()
            process.wait(STOP_TIMEOUT)


@contextmanager
def slow_bodies(front: Front, count: int) -> Iterator[list[socket.socket]]:
    """Uploads that have begun, as Nginx has confirmed, and do not go on."""
    head = b"POST /api/v1/users HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n"
    clients = [socket.create_connection(("127.0.0.1", front.port), 5) for _ in range(count)]
    for client in clients:
        client.sendall(head + b"Expect: 100-continue\r\n\r\n")
        assert client.recv(1000).startswith(b"HTTP/1.1 100 ")
        client.sendall(b"{")
    try:
        yield clients
    finally:
        for client in clients:
            client.close()
