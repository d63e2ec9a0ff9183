"""Writes events to standard streams and files, as text and JSON lines."""

from __future__ import annotations

import json
import logging
import os
import select
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from logging import makeLogRecord
from logging.handlers import WatchedFileHandler
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
REPORT_INTERVAL = 60.0
"""Seconds between two reports that a file cannot be written."""
SEVERITY = {"DEBUG": 10, "INFO": 20, "WARNING": 30, "ERROR": 40}
"""The standard library's numbers of the levels."""


class LogFile(WatchedFileHandler):
    """A file that several processes append to, and that may be renamed under them."""

    def __init__(self, path: Path) -> None:
        path.touch(mode=0o640)
        super().__init__(path, encoding="utf-8", errors="backslashreplace")
        self._reported = float("-inf")

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: ARG002, N802  logging's name
        """Say on the standard error that the disk is full, and not for every line."""
        now = time.monotonic()
        if now - self._reported > REPORT_INTERVAL:
            self._reported = now
            _write_stream(sys.stderr, f"{self.baseFilename}: {sys.exc_info()[1]}\n".encode())


@dataclass(frozen=True, slots=True)
class Output:
    """Destinations of events, and their format."""

    level: int
    as_json: bool
    files: Mapping[str, LogFile]
    renderers: Mapping[str, structlog.dev.ConsoleRenderer]

    def write(self, stream: Stream, event: EventDict) -> None:
        """Write one event that is already masked."""
        target = sys.stdout if stream == "access" else sys.stderr
        line = _to_json(event) if self.as_json or self.files else b""
        if self.files:
            self.files[stream].handle(makeLogRecord({"msg": line.decode().rstrip("\n")}))
        _write_stream(target, line if self.as_json else _to_console(self.renderers[stream], event))


def build_output(settings: Settings) -> Output:
    """Open what the settings name, or raise `ConfigurationError`."""
    folder = settings.log_dir
    return Output(
        level=SEVERITY[settings.log_level],
        as_json=settings.logs_as_json,
        files=(
            {stream: _open_file(folder / f"{stream}.log") for stream in STREAMS} if folder else {}
        ),
        renderers={"access": _renderer(sys.stdout), "error": _renderer(sys.stderr)},
    )


@cache  # one handler for a path, never closed: another thread may be about to write to it
def _open_file(path: Path) -> LogFile:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return LogFile(path)
    except OSError as error:
        raise ConfigurationError(
            f"LOG_DIR: {path} cannot be written ({error.strerror})."
            " Set it to a folder that this user may write to."
        ) from error


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
    with suppress(OSError):  # nobody reads it
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
        except BlockingIOError:  # a terminal or pipe was made non-blocking
            select.select([], [descriptor], [], 1.0)
