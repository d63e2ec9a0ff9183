"""One connection to Redis that its user keeps: many commands in one go, at a fraction of the price.

redis-py makes the connection (address, TLS, authentication, time-outs). Sending and reading are
done here, because redis-py spends more on each command than the server and the network together.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from struct import Struct
from typing import Any

from redis import ResponseError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError
from redis.exceptions import TimeoutError as RedisTimeoutError

from strongback.redis.client import Server

Command = tuple[bytes | str | int, ...]
Answer = Any
"""bytes, int, None, or a list of these; an error is an instance of `ResponseError`."""

CHUNK = 65536
_SHORT = 256
_LENGTHS = [b"$%d" % length for length in range(_SHORT)]
"""What comes before most parts of a command, made once."""
_STATUS, _ERROR, _NUMBER, _BULK, _ARRAY, _NULL, _PUSH = b"+-:$*_>"


class RedisWire:
    """A kept connection. Serves one thread at a time; its user sees to that.

    Args:
        server: Whose pool the connection comes from, and counts against.
    """

    def __init__(self, server: Server) -> None:
        self._pool = server.connection_pool
        self._connection: Any = None
        self._answers: _Answers | None = None

    def run(self, commands: Sequence[Command]) -> list[Answer]:
        """Send commands and return their answers, errors of single commands among them.

        Commands must bear being run twice: a connection that the server has closed meanwhile is
        noticed by its use, and they are then sent again on a new one.

        Raises:
            RedisError: There was no answer.
        """
        data = b"".join(map(encode, commands))
        is_kept = self._answers is not None
        try:
            return self._run(data, len(commands))
        except RedisConnectionError:
            if not is_kept:
                raise
        return self._run(data, len(commands))

    def close(self) -> None:
        """Give the connection back."""
        if self._connection is not None:
            self._connection.disconnect()
            self._pool.release(self._connection)
        self._connection = self._answers = None

    def _run(self, data: bytes, count: int) -> list[Answer]:
        try:
            answers = self._answers or self._connect()
            answers.socket.sendall(data)
            return [answers.read() for _ in range(count)]
        except (TimeoutError, BlockingIOError) as error:
            self.close()
            raise RedisTimeoutError("no answer in time") from error
        except OSError as error:
            self.close()
            raise RedisConnectionError(str(error)) from error
        except BaseException:  # a signal's too: what was not read would be the next one's answer
            self.close()
            raise

    def _connect(self) -> _Answers:
        self._connection = self._pool.get_connection()
        connected = self._connection._sock  # noqa: SLF001  no other way to it
        _time_out_in_kernel(connected)
        self._answers = _Answers(connected)
        return self._answers


def encode(command: Command) -> bytes:
    """A command as it is sent (RESP)."""
    lines = [b"*%d" % len(command)]
    for part in command:
        data = part if type(part) is bytes else _as_bytes(part)
        length = len(data)
        lines += (_LENGTHS[length] if length < _SHORT else b"$%d" % length, data)
    lines.append(b"")
    return b"\r\n".join(lines)


def _as_bytes(part: bytes | str | int) -> bytes:
    if isinstance(part, int):
        return b"%d" % part
    return part.encode() if isinstance(part, str) else part


def _time_out_in_kernel(connected: Any) -> None:  # noqa: ANN401  plain or TLS
    """Leave the time-out to the kernel, which costs nothing.

    Python's own asks before each call whether the socket is ready: twice the system calls, and
    twice the occasions for other threads to take the GIL. TLS needs Python's.
    """
    seconds = connected.gettimeout()
    if os.name != "posix" or type(connected) is not socket.socket or not seconds:
        return
    limit = Struct("ll").pack(int(seconds), int(seconds % 1 * 1_000_000))
    for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
        connected.setsockopt(socket.SOL_SOCKET, option, limit)
    connected.settimeout(None)


class _Answers:
    """Reads answers (RESP 2, and of RESP 3 what servers send unasked)."""

    def __init__(self, connected: Any) -> None:  # noqa: ANN401  plain or TLS
        self.socket = connected
        self._data = b""
        self._at = 0

    def read(self) -> Answer:
        """The next answer."""
        line = self._line()
        kind = line[0]
        if kind == _BULK:
            return self._bulk(int(line[1:]))
        if kind == _ARRAY:
            return self._array(int(line[1:]))
        if kind == _NUMBER:
            return int(line[1:])
        return self._rare(kind, line[1:])

    def _rare(self, kind: int, rest: bytes) -> Answer:
        if kind == _STATUS:
            return rest
        if kind == _ERROR:
            text = rest.decode("utf-8", "replace")
            return NoScriptError(text) if text.startswith("NOSCRIPT") else ResponseError(text)
        if kind == _NULL:
            return None
        if kind == _PUSH:
            self._array(int(rest))
            return self.read()
        raise RedisConnectionError(f"an answer begins with {chr(kind)!r}")

    def _array(self, length: int) -> list[Answer] | None:
        if length < 0:
            return None
        answers: list[Answer] = []
        while len(answers) < length:
            self._take_bulks(answers, length)
            if len(answers) < length:
                answers.append(self.read())
        return answers

    def _take_bulks(self, answers: list[Answer], length: int) -> None:
        """Read the bulk strings that are here already in one go: most arrays are nothing else."""
        data, at = self._data, self._at
        find, end = data.find, len(data)
        for _ in range(length - len(answers)):
            stop = find(b"\r\n", at)
            if stop < 0 or data[at] != _BULK:
                break
            start = stop + 2
            size = int(data[at + 1 : stop])
            if size < 0:
                answers.append(None)
                at = start
                continue
            stop = start + size
            if stop + 2 > end:
                break
            answers.append(data[start:stop])
            at = stop + 2
        self._at = at

    def _line(self) -> bytes:
        while (end := self._data.find(b"\r\n", self._at)) < 0:
            self._receive()
        line = self._data[self._at : end]
        self._at = end + 2
        return line

    def _bulk(self, length: int) -> bytes | None:
        if length < 0:
            return None
        lacking = self._at + length + 2 - len(self._data)
        if lacking > 0:
            self._receive(lacking)
        start = self._at
        self._at = start + length + 2
        return self._data[start : start + length]

    def _chunk(self, size: int) -> bytes:
        try:
            chunk: bytes = self.socket.recv(size)
        except BlockingIOError:
            # Where many threads keep a thread from going on, an answer may have come meanwhile.
            chunk = self.socket.recv(size, socket.MSG_DONTWAIT)
        return chunk

    def _receive(self, least: int = 1) -> None:
        rest = self._data[self._at :]
        chunks = [rest] if rest else []
        while least > 0:
            chunk = self._chunk(max(least, CHUNK))
            if not chunk:
                raise RedisConnectionError("the server has closed the connection")
            chunks.append(chunk)
            least -= len(chunk)
        self._data, self._at = b"".join(chunks), 0
