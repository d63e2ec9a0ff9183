"""One WebSocket: `websockets` reads its frames, a `Session` answers them.

The transport watches what waits for the client: beyond a bound the connection is cut. The server
itself waits for no client, so one that does not read delays nobody.
"""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import Executor
from typing import Any, Protocol, cast

from websockets.frames import DATA_OPCODES, Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import OPEN

from strongback.log.setup import get_logger
from strongback.realtime.broker import BrokerUnavailable
from strongback.realtime.codec import Write
from strongback.realtime.handshake import chosen_encoding, new_protocol, respond
from strongback.realtime.message import (
    INTERNAL,
    INVALID_UTF8,
    SERVER_ERROR,
    SHUTDOWN,
    SLOW,
    ClientInfo,
    Close,
    Disconnected,
    Refused,
)
from strongback.realtime.recovery import Call, Steps
from strongback.realtime.session import Session
from strongback.realtime.subscription import Environment

CLOSE_SECONDS = 2.0
"""Time in which a client may answer the end of its connection."""
RESERVE = 16 * 1024
"""Bytes of the write buffer that publications of the past leave free."""

log = get_logger(__name__)


class Keeper(Protocol):
    """The server that a connection belongs to."""

    environment: Environment
    loop: asyncio.AbstractEventLoop
    connections: set[Connection]
    closed: Counter[int]
    """Connections that were closed by the server, by code."""

    def executor(self, call: Call) -> Executor | None:
        """Return the threads that make a call; None if it returns at once."""
        ...


class Connection(asyncio.Protocol):
    """A connection of a client."""

    __slots__ = (
        "_handshake_until", "_is_advancing", "_is_finished", "_is_text", "_keeper", "_messages",
        "_parts", "_protocol", "_session", "_steps", "_transport", "write",
    )  # fmt: skip

    def __init__(self, keeper: Keeper) -> None:
        options = keeper.environment.options
        self._keeper = keeper
        self._protocol = new_protocol(options.frame)
        self._session: Session | None = None
        self._handshake_until = keeper.environment.clock() + options.connect_seconds
        self._parts: list[bytes] = []
        self._is_text = False
        self._messages: list[bytes] = []
        self._steps: Steps[None] | None = None
        self._is_advancing = False
        self._is_finished = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)
        bound = self._keeper.environment.options.write_buffer
        self._transport.set_write_buffer_limits(bound)
        # The kernel would take megabytes before the bound is reached.
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, bound // 2)
        self.write: Write = self._transport.write
        self._keeper.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  asyncio's signature
        """Forget the client."""
        self._keeper.connections.discard(self)
        self._stop()
        if self._session is not None:
            self._session.forget()

    def data_received(self, data: bytes) -> None:
        """Read what the client sends."""
        self._protocol.receive_data(data)
        self._flush()
        for event in self._protocol.events_received():
            if isinstance(event, Request):
                self._open(event)
            elif isinstance(event, Frame) and self._session is not None:
                self._take_frame(event, self._session)
        self._pump()

    def eof_received(self) -> None:
        """Let the transport close."""
        self._protocol.receive_eof()
        self._flush()

    def pause_writing(self) -> None:
        """Cut the connection: too much waits for the client."""
        self._keeper.closed[SLOW.code] += 1
        self._transport.abort()
        if self._session is not None:
            self._session.write = _discard  # until the loop says that it is lost

    def tick(self, now: float) -> None:
        """Do what the time demands."""
        if self._session is not None:
            if now >= self._session.due and not self._session.is_over:
                self._session.tick()
        elif now >= self._handshake_until:
            self.cut()

    def present(self) -> Iterable[tuple[str, ClientInfo]]:
        """The channels in which the client is seen, and as what."""
        return () if self._session is None else self._session.subscriptions.present()

    def shut_down(self) -> None:
        """End the connection because the server ends."""
        if self._session is None:
            self.cut()
        else:
            self._session.end(SHUTDOWN)

    def cut(self) -> None:
        """End the connection without a word."""
        self._transport.abort()

    def close(self, close: Close) -> None:
        """Say goodbye; cut the connection if the client does not answer."""
        self._keeper.closed[close.code] += 1
        self._stop()
        if self._protocol.state is OPEN:
            self._protocol.send_close(close.code, close.reason)
            self._flush()
        self._cut_soon()

    def room(self) -> int:
        """Return the bytes that can be written before the bound of the buffer."""
        bound = self._keeper.environment.options.write_buffer
        return bound - RESERVE - self._transport.get_write_buffer_size()

    def _flush(self) -> None:
        """Send what the protocol has to say: the handshake, pongs, a close."""
        for data in self._protocol.data_to_send():
            if data and not self._is_finished:
                self._transport.write(data)
            elif not self._is_finished:
                self._finish()

    def _finish(self) -> None:
        """End the connection: the protocol has nothing more to say."""
        self._is_finished = True
        self._stop()
        if self._session is not None and not self._session.is_over:
            self._session.forget()
            sent, received = self._protocol.close_sent, self._protocol.close_rcvd
            if sent is not None and received is None:
                self._keeper.closed[sent.code] += 1
        if self._transport.can_write_eof():
            self._transport.write_eof()
        self._cut_soon()

    def _stop(self) -> None:
        """Carry out no more commands."""
        self._messages.clear()
        steps, self._steps = self._steps, None
        if steps is not None and not self._is_advancing:
            steps.close()
        if not self._transport.is_closing():
            self._transport.resume_reading()

    def _cut_soon(self) -> None:
        self._keeper.loop.call_later(CLOSE_SECONDS, self.cut)

    def _open(self, request: Request) -> None:
        response = respond(self._protocol, request, self._keeper.environment.options)
        self._protocol.send_response(response)
        self._flush()
        if self._protocol.state is OPEN and not self._is_finished:
            encoding = chosen_encoding(self._protocol, request)
            self._session = Session(self._keeper.environment, encoding, self)

    def _take_frame(self, frame: Frame, session: Session) -> None:
        if session.is_over:
            return
        try:
            if frame.opcode not in DATA_OPCODES or not frame.fin:
                session.count()
            if frame.opcode in DATA_OPCODES:
                self._take_data(frame)
        except Disconnected as error:
            session.end(error.close)

    def _take_data(self, frame: Frame) -> None:
        if frame.opcode is not Opcode.CONT:
            self._is_text = frame.opcode is Opcode.TEXT
        self._parts.append(bytes(frame.data))
        if not frame.fin:
            return
        message = b"".join(self._parts)
        self._parts.clear()
        try:
            if self._is_text:
                message.decode()
        except UnicodeDecodeError as error:
            raise Disconnected(INVALID_UTF8) from error
        self._messages.append(message)

    def _pump(self) -> None:
        """Carry out the messages, until something has to be waited for."""
        while self._messages and self._steps is None and self._session is not None:
            self._steps = self._session.receive(self._messages.pop(0))
            self._advance(None, None)

    def _advance(self, value: object, error: BaseException | None) -> None:
        steps = self._steps
        while steps is not None:
            self._is_advancing = True
            try:
                call = steps.send(value) if error is None else steps.throw(error)
            except StopIteration:
                self._steps = None
                return
            except Exception:
                log.exception("realtime_session_failed")  # it ends one connection, not all
                self._steps = None
                if self._session is not None:
                    self._session.end(SERVER_ERROR)
                return
            finally:
                self._is_advancing = False
            executor = self._keeper.executor(call)
            if executor is not None:
                self._wait(call, executor)
                return
            value, error = call.function(), None

    def _wait(self, call: Call, executor: Executor) -> None:
        loop, options = self._keeper.loop, self._keeper.environment.options
        self._transport.pause_reading()
        future = loop.run_in_executor(executor, call.function)
        future.add_done_callback(self._go_on)
        if call.asks_application:
            loop.call_later(options.authorize_seconds, future.cancel)

    def _go_on(self, future: asyncio.Future[Any]) -> None:
        error = TimeoutError() if future.cancelled() else future.exception()
        if error is not None and not isinstance(error, _EXPECTED):
            log.error("realtime_call_failed", exc_info=error)
            error = Refused(INTERNAL)
        if self._steps is None:
            return  # the connection has ended meanwhile
        self._advance(None if error is not None else future.result(), error)
        self._pump()
        if self._steps is None and not self._transport.is_closing():
            self._transport.resume_reading()


_EXPECTED = (Refused, Disconnected, BrokerUnavailable, TimeoutError)


def _discard(_frame: bytes) -> None:
    """Send nothing."""
