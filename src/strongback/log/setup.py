"""Logging: every logger of the process, ours and the libraries', in one shape and two streams.

`access` carries one event for each request and goes to the standard output; `error` carries
everything else and goes to the standard error, so that a command's own output stays clean and a
collector can part the two without parsing. With `LOG_DIR` both are also kept as JSON lines in
`access.log` and `error.log`.

    log = get_logger(__name__)
    log.info("article_published", slug=slug)

An event has a constant name and its data in fields; what `bind_contextvars` bound (the request's
id) is added to each. `mask` replaces secrets in all of them, and escapes line breaks.
"""

from __future__ import annotations

import logging
import re
import sys
import threading
import time
import traceback
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import structlog
from structlog.contextvars import get_contextvars

from strongback.log.mask import (
    MAX_TRACEBACK,
    add_secret_keys,
    is_harmless,
    is_secret_key,
    mask_fields,
    mask_text,
)
from strongback.log.output import SEVERITY, Output, build_output

if TYPE_CHECKING:
    from types import TracebackType

    from structlog.typing import EventDict, FilteringBoundLogger

    from strongback.config import Settings

LIBRARIES = (
    "flask.app", "werkzeug", "gunicorn.error", "gunicorn.access", "_granian", "granian.access",
    "celery", "celery.task", "celery.redirected", "sqlalchemy", "alembic", "py.warnings",
)  # fmt: skip
"""Loggers whose own handlers are taken away: each event is written once, by us."""
QUIET = (
    "werkzeug", "gunicorn.access", "granian.access", "alembic.runtime.plugins", "authlib",
    "celery.worker.strategy", "celery.app.trace",
)  # fmt: skip
"""Loggers that write from `WARNING` on: they log each request and task, for which there are better
events, each plugin of Alembic, and whole tokens."""

MAX_REMEMBERED = 256
"""Characters of the longest text that is remembered as harmless."""

_PLAIN = frozenset({int, float, bool, type(None)})
_OWN_ID = re.compile(r"[0-9a-f]{32}")
_LEVELS = {
    "fatal": "ERROR",
    "critical": "ERROR",
    "exception": "ERROR",
    "warn": "WARNING",
    "msg": "INFO",
}


@dataclass(frozen=True, slots=True)
class LogConfig:
    """What an application adds to the logging of its process."""

    levels: Mapping[str, str | None] = field(default_factory=dict)
    """Level of each of its loggers, and of libraries; None for `LOG_LEVEL`."""
    secret_keys: Collection[str] = ()
    """Names of fields whose values are never written."""


def configure_logging(settings: Settings, added: LogConfig | None = None) -> None:
    """Send every logger's events to the streams that the settings name.

    May be called again at any time, in a forked process too: the last call counts, and what the
    application adds stays.

    Raises:
        ConfigurationError: A file in `LOG_DIR` cannot be written.
    """
    _state.output = output = build_output(settings)
    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, _emit_own],
        wrapper_class=structlog.make_filtering_bound_logger(output.level),
        # Loggers are made at import, before the settings are known, so none is kept.
        cache_logger_on_first_use=False,
    )
    _adopt_libraries(output.level)
    if added is not None:
        add_secret_keys(added.secret_keys)
        for name, level in added.levels.items():
            logging.getLogger(name).setLevel(level or output.level)
    # Another hook, such as a test runner's, is left alone.
    if sys.excepthook is sys.__excepthook__:
        sys.excepthook = _log_uncaught
    if threading.excepthook is threading.__excepthook__:
        threading.excepthook = _log_uncaught_in_thread
    logging.captureWarnings(capture=True)


def get_logger(name: str | None = None) -> FilteringBoundLogger:
    """Return a logger whose events carry the name as `logger`; usually a module's `__name__`."""
    # `logger` is the name of a parameter of structlog's own, so the field gets its name later.
    values = {"logger_name": name} if name else {}
    logger: FilteringBoundLogger = structlog.get_logger(**values)
    return logger


def log_access(**fields: object) -> None:
    """Write the one access event of a request.

    The fast path: no logger, no chain, and texts that were seen to be harmless are remembered.
    Its level follows `status`; what `bind_contextvars` bound is part of it.
    """
    status = fields.get("status")
    level = _level_of_status(status) if isinstance(status, int) else "INFO"
    output = _state.output
    if output is None or SEVERITY[level] < output.level:
        return
    event = {"timestamp": _timestamp(), "level": level, "stream": "access", "event": "request"}
    event.update(_mask_flat(get_contextvars()))
    event.update(_mask_flat(fields))
    output.write("access", event)


class LibraryHandler(logging.Handler):
    """Turns the standard library's log records into events of the error stream."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        event: dict[str, Any] = {"logger_name": record.name, "event": _message(record)}
        if record.exc_info:
            event["exc_info"] = record.exc_info
        if record.stack_info:
            event["stack"] = record.stack_info
        _emit(record.levelname, event | get_contextvars(), record.created)


@dataclass(slots=True)
class _State:
    output: Output | None = None
    handler: LibraryHandler = field(default_factory=LibraryHandler)


_state = _State()


def _adopt_libraries(level: int) -> None:
    # Debug events of libraries are noise, and some hold whole tokens; ours are not.
    logging.root.setLevel(max(level, logging.INFO))
    logging.getLogger("strongback").setLevel(level)
    for logger in (logging.root, *logging.root.manager.loggerDict.values()):
        if isinstance(logger, logging.Logger):
            # Exactly this type: a test runner's handlers derive from it and stay.
            kept = [each for each in logger.handlers if type(each) is not logging.StreamHandler]
            logger.handlers[:] = kept
    for name in LIBRARIES:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate, logger.disabled = True, False
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    if _state.handler not in logging.root.handlers:
        logging.root.addHandler(_state.handler)


def _log_uncaught(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
    else:
        _emit("ERROR", {"event": "uncaught_exception", "exc_info": (kind, error, trace)})


def _log_uncaught_in_thread(args: threading.ExceptHookArgs) -> None:
    if args.exc_value is not None and not isinstance(args.exc_value, SystemExit):
        name = args.thread.name if args.thread else None
        info = (args.exc_type, args.exc_value, args.exc_traceback)
        _emit("ERROR", {"event": "uncaught_exception", "thread": name, "exc_info": info})


def _emit_own(_logger: object, method: str, event: EventDict) -> EventDict:
    _emit(_LEVELS.get(method) or method.upper(), event)
    raise structlog.DropEvent  # written: nothing is left for structlog to do


def _emit(level: str, event: EventDict, created: float | None = None) -> None:
    if _state.output is None:
        return
    level = "ERROR" if level == "CRITICAL" else level
    trace = _traceback(event.pop("exc_info", None)) or event.pop("exception", None)
    stack = event.pop("stack", None)
    name = mask_text(str(event.pop("event", "")))
    head = {"timestamp": _timestamp(created), "level": level, "stream": "error", "event": name}
    if logger := event.pop("logger_name", None):
        head["logger"] = logger
    complete = head | mask_fields(event) | head
    for key, text in (("stack", stack), ("exception", trace)):
        if text:
            complete[key] = mask_text(str(text), MAX_TRACEBACK)
    _state.output.write("error", complete)


def _mask_flat(fields: dict[str, Any]) -> dict[str, Any]:
    for key, value in fields.items():
        kind = type(value)
        is_plain = _is_harmless(value) if kind is str else kind in _PLAIN
        if not is_plain or is_secret_key(key):
            return mask_fields(fields)
    return fields


def _is_harmless(text: str) -> bool:
    # Our own request ids are new each time, and 6 % of them hold digits like a phone number's.
    if _OWN_ID.fullmatch(text):
        return True
    return _is_known_harmless(text) if len(text) <= MAX_REMEMBERED else is_harmless((text,))


@lru_cache(4096)  # paths, methods and addresses come again and again
def _is_known_harmless(text: str) -> bool:
    return is_harmless((text,))


def _level_of_status(status: int) -> str:
    return ("INFO", "WARNING", "ERROR")[max(0, min(status // 100 - 3, 2))]


def _timestamp(created: float | None = None) -> str:
    second, fraction = divmod(time.time() if created is None else created, 1)
    return f"{_second(second)}.{int(fraction * 1000):03d}Z"


@lru_cache(4)  # of the many events in a second, one formats it
def _second(second: float) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # noqa: BLE001  a library's wrong format string is still an event
        return f"{record.msg} {record.args!r}"


def _traceback(info: object) -> str | None:
    if info is True:
        info = sys.exc_info()
    error = info[1] if isinstance(info, tuple) else info
    if not isinstance(error, BaseException):
        return None
    return "".join(traceback.format_exception(error)).rstrip("\n")
