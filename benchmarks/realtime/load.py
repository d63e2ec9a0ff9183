"""A server in a process, and many clients of it that note when a message has reached them all."""

from __future__ import annotations

import json
import resource
import select
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Self

from websockets.frames import Frame, Opcode

from app.core.config import ROOT
from benchmarks.http.child import TICKS, stop
from benchmarks.realtime.contender import ROOM

PAYLOAD = {"type": "comment", "id": 12, "text": "x" * 100}
PATIENCE = 30.0
OURS = ("strongback", "strongback on Redis")


class Server:
    """A contender, and its clients.

    Args:
        name: Of the contender.
        redis_url: Where it keeps its streams; "" for its memory.
    """

    def __init__(self, name: str, redis_url: str = "") -> None:
        self.name = name
        contender = name.removesuffix(" on Redis")
        command = [sys.executable, "-m", "benchmarks.realtime.contender", contender, redis_url]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
        )
        assert self._process.stdout
        assert self._process.stdin
        self._input, self._output = self._process.stdin, self._process.stdout
        self.port = int(self._output.readline())
        self.clients: list[socket.socket] = []
        self._poll = select.epoll()
        self._count = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for client in self.clients:
            client.close()
        self._poll.close()
        stop(self._process)

    def connect(self, count: int) -> float:
        """Add clients; returns the seconds that each took."""
        _raise_descriptors()
        start = time.monotonic()
        for _ in range(count):
            client = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            open_client(client, self.name, len(self.clients) + 1)
            client.settimeout(0)
            self.clients.append(client)
            self._poll.register(client, select.EPOLLIN)
        return (time.monotonic() - start) / count

    def last_delivery(self) -> float:
        """Publish once; return the milliseconds until the last client has it."""
        by_number = {client.fileno(): client for client in self.clients}
        waiting, kept = set(by_number), dict.fromkeys(by_number, b"")
        self._count += 1
        mark = f'"number":{self._count}'.encode()
        text = json.dumps(PAYLOAD | {"number": self._count}, separators=(",", ":"))
        self._input.write(text + "\n")
        self._input.flush()
        begun = float(self._output.readline())
        while waiting:
            events = self._poll.poll(PATIENCE, len(waiting))
            if not events:
                raise SystemExit(f"{self.name}: {len(waiting)} clients got nothing")
            for number, _ in events:
                kept[number] += by_number[number].recv(65536)
                # Socket.IO has it as text in JSON.
                if mark in kept[number].replace(b"\\", b""):
                    waiting.discard(number)
        return (time.monotonic() - begun) * 1000

    def memory(self) -> float:
        """KiB that it has in memory."""
        text = Path(f"/proc/{self._process.pid}/status").read_text()
        return float(text.split("VmRSS:")[1].split()[0])

    def cpu_seconds(self) -> float:
        """CPU time that it has taken."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS


def open_client(client: socket.socket, name: str, user: int, room: str = ROOM) -> None:
    """Send what a client of a contender begins with, and wait until it has its channels."""
    path = "/connection/websocket"
    if name.endswith("ocketIO") or name == "python-socketio":
        path = "/socket.io/?EIO=4&transport=websocket"
    client.sendall(
        f"GET {path} HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
    )
    if name == "bare":
        _read_until(client, b"\r\n\r\n")
    elif name in OURS:
        lines = [
            {"id": 1, "connect": {"token": str(user)}},
            {"id": 2, "subscribe": {"channel": room}},
        ]
        client.sendall(_frame("\n".join(map(json.dumps, lines))))
        _read_until(client, b'"id":2')
    else:
        _read_until(client, b"sid")
        client.sendall(_frame("40"))
        _read_until(client, b"40{")


def _frame(text: str) -> bytes:
    return Frame(Opcode.TEXT, text.encode()).serialize(mask=True)


def _read_until(client: socket.socket, mark: bytes) -> None:
    found = b""
    while mark not in found:
        part = client.recv(65536)
        if not part:
            raise SystemExit(f"closed after {found!r}")
        found += part


def _raise_descriptors() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
