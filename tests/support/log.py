"""The log before an application has configured it."""

from __future__ import annotations

import structlog
from structlog.dev import ConsoleRenderer, plain_traceback


def reset_log() -> None:
    """Log by structlog's defaults, but without Rich, which takes a second for a traceback."""
    structlog.reset_defaults()
    *processors, _ = structlog.get_config()["processors"]
    plain = ConsoleRenderer(exception_formatter=plain_traceback)
    structlog.configure(processors=[*processors, plain])
