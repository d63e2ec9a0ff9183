"""A plain client of the realtime protocol, in JSON, for tests that look at each message."""

from __future__ import annotations

import json
from contextlib import ExitStack
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.support.realtime import sign


def address(port: int) -> str:
    return f"ws://127.0.0.1:{port}/connection/websocket"


class Client:
    """A client that speaks JSON."""

    def __init__(self, url: str, user: str = "42", **claims: object) -> None:
        self.stack = ExitStack()
        self.socket: ClientConnection = self.stack.enter_context(connect(url, compression=None))
        self.number = 0
        self.connected = self.ask("connect", token=sign({"sub": user, **claims}))

    def send(self, *commands: dict[str, Any]) -> None:
        self.socket.send("\n".join(map(json.dumps, commands)))

    def receive(self) -> dict[str, Any]:
        """Return what comes next, other than news of who has joined or left."""
        while True:
            found: dict[str, Any] = json.loads(self.socket.recv(timeout=20))
            if not {"join", "leave"} & set(found.get("push", {})):
                return found

    def ask(self, method: str, /, **params: object) -> dict[str, Any]:
        self.number += 1
        self.send({"id": self.number, method: params})
        while True:
            reply = self.receive()
            if reply.get("id") == self.number:
                found: dict[str, Any] = reply.get(method, reply)
                return found

    def code(self) -> int:
        """Return the code with which the server closes."""
        return closing_code(self.socket)


def closing_code(client: ClientConnection) -> int:
    """Read until the end, and return the code of the close."""
    with pytest.raises(ConnectionClosed) as caught:
        all(iter(lambda: client.recv(timeout=20), None))
    assert caught.value.rcvd is not None
    return caught.value.rcvd.code


def close(*clients: Client) -> None:
    for client in clients:
        client.stack.close()
