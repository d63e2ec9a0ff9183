"""A file that is touched while a process can do its work, for health checks.

Asking a worker through the broker starts an interpreter each time, and a busy worker replies late.
"""

from __future__ import annotations

from pathlib import Path

INTERVAL = 2.0
"""Seconds between two touches."""


class LivenessFile:
    """A file whose age says whether a process works; without a path there is none."""

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def touch(self) -> None:
        """Show that the process works."""
        if self._path is not None:
            self._path.touch()
