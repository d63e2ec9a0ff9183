"""Background parts of a server process, from its fork to its end."""

from __future__ import annotations

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

    def add(self, part: Part) -> None:
        """Start and stop a part with the process."""
        self._parts.append(part)

    def start(self) -> None:
        """Start all parts, in the order in which they were added."""
        for part in self._parts:
            part.start()

    def stop(self) -> None:
        """Stop all parts, the last one first."""
        for part in reversed(self._parts):
            part.stop()
