"""Servers that send one message to everybody in a room, each run as a process.

python -m benchmarks.realtime.contender NAME [redis://...]

Prints its port. Each line of its input is published to the room; it prints the time before.
"""

from __future__ import annotations

import asyncio
import socket
import sys
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

Publish = Callable[[str], object]
ROOM = "room:1"


def bare(_: str) -> tuple[int, Publish]:
    """Nothing but a handshake by `websockets`, and frames that are made once."""
    import uvloop  # noqa: PLC0415  each contender has packages of its own
    from websockets.frames import Frame, Opcode  # noqa: PLC0415
    from websockets.http11 import Request  # noqa: PLC0415
    from websockets.server import ServerProtocol  # noqa: PLC0415

    transports: list[asyncio.Transport] = []

    class Connection(asyncio.Protocol):
        def connection_made(self, transport: Any) -> None:
            self.transport, self.protocol = transport, ServerProtocol()
            transports.append(transport)

        def data_received(self, data: bytes) -> None:
            self.protocol.receive_data(data)
            for event in self.protocol.events_received():
                if isinstance(event, Request):
                    self.protocol.send_response(self.protocol.accept(event))
            for out in self.protocol.data_to_send():
                self.transport.write(out)

    def send(text: str) -> None:
        frame = Frame(Opcode.TEXT, text.encode()).serialize(mask=False)
        for transport in transports:
            transport.write(frame)

    loop = uvloop.new_event_loop()
    listener = socket.create_server(("127.0.0.1", 0), backlog=1000)
    loop.run_until_complete(loop.create_server(Connection, sock=listener))
    threading.Thread(target=loop.run_forever, daemon=True).start()
    return listener.getsockname()[1], lambda text: loop.call_soon_threadsafe(send, text)


def strongback(redis_url: str) -> tuple[int, Publish]:
    """Our server: token, personal channel, room; with history, in memory or on Redis."""
    from strongback.realtime import ChannelRegistry, Channels, Grant, History  # noqa: PLC0415
    from strongback.realtime.local_broker import LocalBroker  # noqa: PLC0415
    from strongback.realtime.message import Identity  # noqa: PLC0415
    from strongback.realtime.redis_broker import RedisBroker  # noqa: PLC0415
    from strongback.realtime.server import RealtimeServer  # noqa: PLC0415
    from strongback.redis import connect  # noqa: PLC0415

    registry = ChannelRegistry()
    registry.add(Channels("room", history=History(100, timedelta(minutes=5))))
    broker = RedisBroker(connect(redis_url), registry) if redis_url else LocalBroker(registry)

    def authenticate(token: str) -> Identity:
        return Identity(int(token), token, channels=(registry.personal(int(token)),))

    server = RealtimeServer(broker, registry, authenticate, lambda *_: Grant())
    server.start()
    return server.listen("127.0.0.1", 0), lambda text: broker.publish([ROOM], text.encode())


def python_socketio(_: str) -> tuple[int, Publish]:
    """python-socketio's asynchronous server on uvicorn."""
    import socketio  # noqa: PLC0415
    import uvicorn  # noqa: PLC0415

    hub = socketio.AsyncServer(async_mode="asgi", ping_interval=3600)

    @hub.event
    async def connect(sid: str, _environ: object, _auth: object = None) -> None:
        await hub.enter_room(sid, ROOM)
        await hub.enter_room(sid, f"user:{sid}")

    config = uvicorn.Config(socketio.ASGIApp(hub), port=0, log_level="error", lifespan="off")
    server = uvicorn.Server(config)
    loops: list[asyncio.AbstractEventLoop] = []

    async def serve() -> None:
        loops.append(asyncio.get_running_loop())
        await server.serve()

    threading.Thread(target=lambda: asyncio.run(serve()), daemon=True).start()
    while not server.started:
        time.sleep(0.01)
    port: int = server.servers[0].sockets[0].getsockname()[1]

    def publish(text: str) -> None:
        asyncio.run_coroutine_threadsafe(hub.emit("message", text, room=ROOM), loops[0])

    return port, publish


def flask_socketio(_: str) -> tuple[int, Publish]:
    """Flask-SocketIO with threads, on Werkzeug's server and simple-websocket."""
    from flask import Flask, request  # noqa: PLC0415
    from flask_socketio import SocketIO, join_room  # noqa: PLC0415
    from werkzeug.serving import make_server  # noqa: PLC0415

    app = Flask(__name__)
    hub = SocketIO(app, async_mode="threading", ping_interval=3600)

    @hub.on("connect")
    def connect() -> None:
        join_room(ROOM)
        join_room(f"user:{request.sid}")  # type: ignore[attr-defined]

    server = make_server("127.0.0.1", 0, app, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_port, lambda text: hub.emit("message", text, to=ROOM)


CONTENDERS: dict[str, Callable[[str], tuple[int, Publish]]] = {
    "bare": bare,
    "strongback": strongback,
    "python-socketio": python_socketio,
    "Flask-SocketIO": flask_socketio,
}


def main(name: str, redis_url: str = "") -> None:
    import logging  # noqa: PLC0415

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    port, publish = CONTENDERS[name](redis_url)
    print(port, flush=True)
    for line in sys.stdin:
        print(time.monotonic(), flush=True)
        publish(line.strip())


if __name__ == "__main__":
    main(*sys.argv[1:])
