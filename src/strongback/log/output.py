"""Where events go and how they look there: standard streams and files, text and JSON lines.

A line is one `write` without a lock: nothing can be held across a fork, and processes that append
to one file do not tear each other's lines.
"""

from __future__ import annotations

import json
import os
import select
import sys
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import IO, TYPE_CHECKING, Literal

import orjson
import structlog

from strongback.exceptions import ConfigurationError
from strongback.log.mask import escape_controls, escape_json, indent

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from structlog.typing import EventDict

    from strongback.config import Settings

Stream = Literal["access", "error"]
STREAMS: tuple[Stream, ...] = ("access", "error")
SEVERITY = {"DEBUG": 10, "INFO": 20, "WARNING": 30, "ERROR": 40}
"""The standard library's numbers of the levels."""


class LogFile:
    """A file that several processes append to and that may be renamed under them.

    Each line is one `write` to a descriptor opened with `O_APPEND`, and before each the name is
    looked up again. The descriptor's number never changes (`dup2` points it at the new file), so
    a thread that has just read it cannot write into something else's file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = self._open()
        self._failing = False

    def write(self, line: bytes) -> None:
        """Append one line; a full disk is reported once and never breaks a request."""
        try:
            if self._is_renamed():
                self._reopen()
            _write_all(self._descriptor, line)
            self._failing = False
        except OSError as error:
            if not self._failing:
                self._failing = True
                _write_stream(sys.stderr, f"{self._path}: {error}\n".encode())

    def _open(self) -> int:
        return os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)

    def _is_renamed(self) -> bool:
        try:
            return not os.path.samestat(self._path.stat(), os.fstat(self._descriptor))
        except FileNotFoundError:
            return True

    def _reopen(self) -> None:
        descriptor = self._open()
        os.dup2(descriptor, self._descriptor, inheritable=False)
        os.close(descriptor)


@dataclass(frozen=True, slots=True)
class Output:
    """Where events go, and how they look there."""

    level: int
    as_json: bool
    files: Mapping[str, LogFile]
    renderers: Mapping[str, structlog.dev.ConsoleRenderer]

    def write(self, stream: Stream, event: EventDict) -> None:
        """Write one event that is already masked."""
        target = sys.stdout if stream == "access" else sys.stderr
        line = _to_json(event) if self.as_json or self.files else b""
        if self.files:
            self.files[stream].write(line)
        _write_stream(target, line if self.as_json else _to_console(self.renderers[stream], event))


def build_output(settings: Settings) -> Output:
    """Open what the settings name.

    Raises:
        ConfigurationError: A file in `LOG_DIR` cannot be written.
    """
    folder = settings.log_dir
    return Output(
        level=SEVERITY[settings.log_level],
        as_json=settings.logs_as_json,
        files=(
            {stream: _open_file(folder / f"{stream}.log") for stream in STREAMS} if folder else {}
        ),
        renderers={"access": _renderer(sys.stdout), "error": _renderer(sys.stderr)},
    )


@cache  # one descriptor for a path, never closed: another thread may be about to write to it
def _open_file(path: Path) -> LogFile:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return LogFile(path)
    except OSError as error:
        msg = (
            f"LOG_DIR: {path} cannot be written ({error.strerror})."
            " Set it to a folder that this user may write to."
        )
        raise ConfigurationError(msg) from error


def _renderer(stream: IO[str]) -> structlog.dev.ConsoleRenderer:
    colors = stream.isatty()
    styles = structlog.dev.ConsoleRenderer.get_default_level_styles(colors)
    return structlog.dev.ConsoleRenderer(
        colors=colors,
        sort_keys=False,
        level_styles={name.upper(): style for name, style in styles.items()},
    )


def _to_json(event: EventDict) -> bytes:
    try:
        line = orjson.dumps(event, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError:  # an integer above 64 bits, or half of a surrogate pair
        line = json.dumps(event, default=str).encode() + b"\n"
    return escape_json(line)


def _to_console(renderer: structlog.dev.ConsoleRenderer, event: EventDict) -> bytes:
    texts = [indent(event[key]) for key in ("stack", "exception") if key in event]
    safe = {
        escape_controls(key): escape_controls(value) if isinstance(value, str) else value
        for key, value in event.items()
        if key not in {"stack", "exception", "stream"}
    }
    lines = [renderer(None, "", safe), *texts]
    return "\n".join([*lines, ""]).encode("utf-8", "backslashreplace")


def _write_stream(stream: IO[str], line: bytes) -> None:
    with suppress(OSError):  # nobody reads: there is no place left to say so
        try:
            descriptor = stream.fileno()
        except (OSError, ValueError):  # a stream in memory, or a closed one
            stream.write(line.decode())
        else:
            _write_all(descriptor, line)


def _write_all(descriptor: int, line: bytes) -> None:
    while line:
        try:
            line = line[os.write(descriptor, line) :]
        except BlockingIOError:  # somebody made the terminal or pipe non-blocking
            select.select([], [descriptor], [], 1.0)
