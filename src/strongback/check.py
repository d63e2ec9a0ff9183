"""Checks: whether what an application needs is there, and what to do where it is not.

One registry for `/readyz`, `flask doctor` and the start of a server; parts and slices add theirs:

    app.checks.add("redis", redis.ping, title="Redis", remedy="See that it runs")
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from strongback.collision import Names
from strongback.exceptions import StrongbackError


class Use(StrEnum):
    """What asks a check; `flask doctor` asks them all."""

    START = "start"
    """The start of a server, which fails with it."""
    REQUIRED = "required"
    """`/readyz`, which responds with 503 when it fails."""
    OPTIONAL = "optional"
    """`/readyz`, which reports it: the process can do its work without."""
    DIAGNOSIS = "diagnosis"
    """`flask doctor` alone."""


class CheckWarning(StrongbackError):
    """Raised by a check of something that works, and needs attention."""


@dataclass(frozen=True, slots=True)
class Check:
    """Something that the application needs."""

    name: str
    """Name in `/readyz`."""
    ask: Callable[[], object]
    """Raises if it cannot be used; must give up by itself within a few seconds. Returns what
    `/readyz` reports of it (a dictionary of figures), or what `flask doctor` says (a sentence)."""
    use: Use
    title: str
    """Name in a sentence."""
    remedy: str = ""
    """What to do when it fails, where the error does not say so."""
    needs: str | None = None
    """Another check, without which this one tells nothing."""


class Checks:
    """The checks of an application, in the order in which they were added."""

    def __init__(self) -> None:
        self._names = Names("check")
        self._checks: list[Check] = []

    def add(  # noqa: PLR0913  the facts of a check
        self,
        name: str,
        ask: Callable[[], object],
        *,
        use: Use = Use.OPTIONAL,
        title: str = "",
        remedy: str = "",
        needs: str | None = None,
    ) -> None:
        """Add a check; see `Check` for its facts.

        Raises:
            ConfigurationError: Another check has this name.
        """
        self._names.claim(name, f"check {len(self._checks) + 1}")
        self._checks.append(Check(name, ask, use, title or name, remedy, needs))

    def used_by(self, *uses: Use) -> Iterator[Check]:
        """The checks that one of these asks."""
        return (check for check in self._checks if check.use in uses)

    def __iter__(self) -> Iterator[Check]:
        return iter(self._checks)
