"""A wire to Redis that can be cut for subscribers alone: `python -m …proxy PORT`.

Cut means silence, not a closed connection: what Redis sends is lost, as behind a firewall that has
forgotten the connection. Commands of others pass.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from typing import Any

from benchmarks.question import serve_questions

SIZE = 65536


class Proxy:
    """Passes bytes on in an event loop of its own."""

    def __init__(self, upstream: int) -> None:
        self._upstream = upstream
        self._is_cut = False
        self._open = threading.Event()
        self.port = 0
        threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True).start()
        self._open.wait(10)

    def answer(self, *, is_cut: bool) -> dict[str, Any]:
        """Cut the wire of subscribers, or mend it."""
        self._is_cut = is_cut
        return {"port": self.port}

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._connect, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._open.set()
        async with server:
            await server.serve_forever()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._upstream)
        kind = {"is_subscriber": False}
        await asyncio.gather(
            self._pass(reader, up_writer, kind, is_request=True),
            self._pass(up_reader, writer, kind, is_request=False),
            return_exceptions=True,
        )

    async def _pass(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        kind: dict[str, bool],
        *,
        is_request: bool,
    ) -> None:
        try:
            while data := await reader.read(SIZE):
                if is_request and b"SUBSCRIBE" in data.upper():
                    kind["is_subscriber"] = True
                if self._is_cut and kind["is_subscriber"]:
                    continue  # lost
                writer.write(data)
                await writer.drain()
        finally:
            writer.close()


if __name__ == "__main__":
    serve_questions(Proxy(int(sys.argv[1])).answer)
