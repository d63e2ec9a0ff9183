"""A sign of life for health checks: a file that is touched while a process can do its work.

Asking a worker through the broker starts an interpreter for each question, and is answered late by
one that is busy.
"""

from __future__ import annotations

from strongback.config import Settings

INTERVAL = 2.0
"""Seconds between two signs."""


def touch(settings: Settings) -> None:
    """Give a sign now, where a file is named."""
    if settings.task_alive_file is not None:
        settings.task_alive_file.touch()
