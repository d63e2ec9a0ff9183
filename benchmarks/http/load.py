"""The load: keep-alive connections that each send the next request when the answer is there."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

from benchmarks.http.case import CASES, HEADERS
from benchmarks.question import serve_questions

TIME_LIMIT = 120.0
"""Seconds after which a batch is given up."""


class Client(asyncio.Protocol):
    """One connection."""

    def __init__(self, batch: Batch) -> None:
        self._batch = batch
        self._received = b""
        self._wanted = -1

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport
        self._next()

    def _next(self) -> None:
        if self._batch.left:
            self._batch.left -= 1
            self._transport.write(self._batch.request)
        else:
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        self._received = self._received + data if self._received else data
        if self._wanted < 0:
            end = self._received.find(b"\r\n\r\n")
            if end < 0:
                return
            head = self._received[:end].lower()
            _, _, rest = head.partition(b"content-length: ")
            self._wanted = end + 4 + int(rest.partition(b"\r\n")[0])
        if len(self._received) < self._wanted:
            return
        answer, self._received, self._wanted = self._received, b"", -1
        self._batch.take(answer)
        self._next()

    def connection_lost(self, error: Exception | None) -> None:
        self._batch.lose(error)


class Batch:
    """A number of equal requests over several connections."""

    def __init__(self, request: bytes, count: int, connections: int) -> None:
        self.request = request
        self.left = count
        self.statuses: dict[str, int] = {}
        self.last = b""
        self._missing = count
        self._open = connections
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def take(self, answer: bytes) -> None:
        status = answer[9:12].decode()
        self.statuses[status] = self.statuses.get(status, 0) + 1
        self.last = answer
        self._missing -= 1

    def lose(self, error: Exception | None) -> None:
        self._open -= 1
        if self.done.done():
            return
        if error or (not self._open and self._missing):
            self.done.set_exception(ConnectionError(f"{self._missing} answers missing: {error}"))
        elif not self._open:
            self.done.set_result(None)


def request_of(case: str, port: int, body: bytes) -> bytes:
    known = CASES[case]
    lines = [f"{known.method} {known.path} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in HEADERS if name != "Host"]
    lines += [f"Host: 127.0.0.1:{port}"]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


async def run(port: int, request: bytes, count: int, connections: int) -> dict[str, Any]:
    loop = asyncio.get_running_loop()
    batch = Batch(request, count, connections)
    started = loop.time()
    for _ in range(connections):
        await loop.create_connection(lambda: Client(batch), "127.0.0.1", port)
    async with asyncio.timeout(TIME_LIMIT):
        await batch.done
    return {
        "seconds": loop.time() - started,
        "statuses": batch.statuses,
        "last": base64.b64encode(batch.last.partition(b"\r\n\r\n")[2]).decode(),
    }


def main() -> None:
    def answer(
        port: int, case: str, count: int, connections: int, body: str | None = None
    ) -> dict[str, Any]:
        sent = CASES[case].body if body is None else body.encode()
        return asyncio.run(run(port, request_of(case, port, sent), count, connections))

    serve_questions(answer)


if __name__ == "__main__":
    main()
