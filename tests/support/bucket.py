"""A bucket in moto's server, on a port of the loopback interface."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

from moto.server import ThreadedMotoServer
from pydantic import SecretStr

REGION = "us-east-1"
NAME = "files"


@dataclass(frozen=True)
class Bucket:
    """A bucket, and the settings that lead to it."""

    host: str
    name: str = NAME
    changes: dict[str, Any] = field(default_factory=dict)

    @property
    def settings(self) -> dict[str, Any]:
        return {
            "file_store_url": f"http://{self.host}/{self.name}",
            "file_store_region": REGION,
            "file_store_key_id": "test",
            "file_store_secret_key": SecretStr("test"),
        } | self.changes

    def put(self, url: str, body: bytes) -> int:
        """Send an object to a signed address, as a client does."""
        return fetch("PUT", url, body)[0]


def fetch(method: str, url: str, body: bytes | None = None) -> tuple[int, Message, bytes]:
    """Status, headers and body of an answer."""
    parts = urlsplit(url)
    connection = HTTPConnection(parts.netloc, timeout=10)
    try:
        connection.request(method, f"{parts.path}?{parts.query}", body)
        response = connection.getresponse()
        return response.status, response.headers, response.read()
    finally:
        connection.close()


@contextmanager
def run_bucket(port: int = 0) -> Iterator[Bucket]:
    server = ThreadedMotoServer("127.0.0.1", port, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        fetch("PUT", f"http://{host}:{port}/{NAME}")
        yield Bucket(f"{host}:{port}")
    finally:
        server.stop()


@contextmanager
def silent_server() -> Iterator[int]:
    """A server that takes connections and says nothing, as one that hangs."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        held: list[socket.socket] = []

        def accept() -> None:
            while True:
                try:
                    held.append(listener.accept()[0])
                except OSError:
                    return

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
    for connection in held:
        connection.close()
    thread.join(5)
