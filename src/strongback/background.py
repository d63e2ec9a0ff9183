"""Background parts of a server process, from its fork to its end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class Part(Protocol):
    """A part that runs in threads of its own."""

    def start(self) -> None:
        """Start, without blocking the caller."""
        ...

    def stop(self) -> None:
        """Finish the current work and stop, within a limited time."""
        ...


class Background:
    """The parts of a process, which servers start, and tests and commands do not."""

    def __init__(self) -> None:
        self._parts: list[Part] = []
        self._on_stop: list[Callable[[], object]] = []

    def add(self, part: Part) -> None:
        """Start and stop a part with the process."""
        self._parts.append(part)

    def start(self) -> None:
        """Start all parts, in the order in which they were added."""
        for part in self._parts:
            part.start()

    def on_stop(self, notice: Callable[[], object]) -> None:
        """Call a function as soon as the process is told to stop; it must return at once.

        The parts themselves stop after the last response.
        """
        self._on_stop.append(notice)

    def begin_stop(self) -> None:
        """Say that the process was told to stop, before it waits for the requests in flight."""
        for notice in self._on_stop:
            notice()

    def stop(self) -> None:
        """Stop all parts, the last one first."""
        for part in reversed(self._parts):
            part.stop()
