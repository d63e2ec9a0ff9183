"""A web process that emits in transactions: `python -m benchmarks.realtime.emit COUNT`.

Prints the milliseconds from before each transaction until a client has the frame. With a broker of
tasks in its environment, a worker has to run beside it.
"""

from __future__ import annotations

import socket
import sys
import time

from app.core.config import load_settings
from app.main import create_app
from benchmarks.realtime.load import open_client
from strongback.background import Background
from strongback.database import Database
from strongback.realtime import Realtime
from strongback.realtime.channel import Grant
from strongback.realtime.message import Identity
from strongback.realtime.server import RealtimeServer

CHANNEL = "article:1"
PAUSE = 0.03
WARM_UP = 3.0


def main(count: int) -> None:
    app = create_app(load_settings())
    database, realtime = app.services[Database], app.services[Realtime]
    app.services[Background].start()
    # Beside the application's own, one that needs no account: it takes its place at the broker.
    server = RealtimeServer(
        realtime.broker,  # type: ignore[arg-type]  # not Centrifugo's
        realtime.channels,
        lambda token: Identity(int(token)),
        lambda *_: Grant(),
    )
    server.start()
    with socket.create_connection(("127.0.0.1", server.listen("127.0.0.1", 0))) as client:
        open_client(client, "strongback", 1, CHANNEL)
        time.sleep(WARM_UP)
        for number in range(count):
            start = time.monotonic()
            database.transact(lambda _: realtime.emit(CHANNEL, {"number": number}))  # noqa: B023
            found = b""
            while f'"number":{number}'.encode() not in found:
                found += client.recv(65536)
            print((time.monotonic() - start) * 1000, flush=True)
            time.sleep(PAUSE)
    server.stop()
    app.services[Background].stop()


if __name__ == "__main__":
    main(int(sys.argv[1]))
