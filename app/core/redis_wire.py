"""One connection to Redis that its user keeps: many commands in one go, at a fraction of the price.

redis-py makes the connection (address, TLS, authentication, time-outs). Sending and reading are
done here, because redis-py spends more on each command than the server and the network together.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from redis import RedisError, ResponseError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError
from redis.exceptions import TimeoutError as RedisTimeoutError

from app.core.redis_client import Server

Command = tuple[bytes | str | int, ...]
Answer = Any
"""bytes, int, None, or a list of these; an error is an instance of `ResponseError`."""

CHUNK = 65536
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
        except TimeoutError as error:
            self.close()
            raise RedisTimeoutError("no answer in time") from error
        except OSError as error:
            self.close()
            raise RedisConnectionError(str(error)) from error
        except RedisError:
            self.close()
            raise

    def _connect(self) -> _Answers:
        self._connection = self._pool.get_connection()
        self._answers = _Answers(self._connection._sock)  # noqa: SLF001  no other way to it
        return self._answers


def encode(command: Command) -> bytes:
    """A command as it is sent (RESP)."""
    parts = [part if type(part) is bytes else _as_bytes(part) for part in command]
    return b"*%d\r\n%b" % (
        len(parts),
        b"".join([b"$%d\r\n%b\r\n" % (len(part), part) for part in parts]),
    )


def _as_bytes(part: bytes | str | int) -> bytes:
    if isinstance(part, int):
        return b"%d" % part
    return part.encode() if isinstance(part, str) else part


class _Answers:
    """Reads answers (RESP 2, and of RESP 3 what servers send unasked)."""

    def __init__(self, socket: Any) -> None:  # noqa: ANN401  plain or TLS
        self.socket = socket
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
            start = find(b"\r\n", at) + 2
            if start < 2 or data[at] != _BULK:  # noqa: PLR2004  nothing found
                break
            size = int(data[at + 1 : start - 2])
            if size < 0:
                answers.append(None)
                at = start
                continue
            if start + size + 2 > end:
                break
            answers.append(data[start : start + size])
            at = start + size + 2
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

    def _receive(self, least: int = 1) -> None:
        chunks = [self._data[self._at :]]
        while least > 0:
            chunk = self.socket.recv(max(least, CHUNK))
            if not chunk:
                raise RedisConnectionError("the server has closed the connection")
            chunks.append(chunk)
            least -= len(chunk)
        self._data, self._at = b"".join(chunks), 0
