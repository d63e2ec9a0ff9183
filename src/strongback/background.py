"""What a server process does beside answering requests, from its fork to its end."""

from __future__ import annotations

from typing import Protocol


class Part(Protocol):
    """Something that runs in threads of its own."""

    def start(self) -> None:
        """Begin, without making the caller wait."""
        ...

    def stop(self) -> None:
        """Finish what is at work, within a bounded time."""
        ...


class Background:
    """The parts of a process. Whoever serves requests starts them; tests and commands do not."""

    def __init__(self) -> None:
        self._parts: list[Part] = []

    def add(self, part: Part) -> None:
        """Have a part started and stopped with the process."""
        self._parts.append(part)

    def start(self) -> None:
        """Start each, in the order in which they were added."""
        for part in self._parts:
            part.start()

    def stop(self) -> None:
        """Stop each, the last one first."""
        for part in reversed(self._parts):
            part.stop()
