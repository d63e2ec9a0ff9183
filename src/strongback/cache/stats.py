"""Counts of one kind of values in this process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Stats:
    """A snapshot; counts since the process began."""

    requests: int
    """Values asked for."""
    hits: Mapping[str, int]
    """Values found, by storage."""
    misses: int
    """Values in no storage: loaded, waited for, or known to be absent."""
    loads: int
    """Values asked of the loader."""
    load_failures: int
    """Loads that raised."""
    load_seconds: float
    """Time in the loader, of all loads."""
    waiters: int
    """Requests that waited for another's load."""
    stale: int
    """Requests served with a value past its lifetime while a newer one was loaded."""
    filtered: int
    """Requests that a filter answered: certainly absent."""


class Counts:
    """The running counts. Plain integers: a hit takes no lock.

    CPython does not switch threads between reading and storing an attribute unless a function is
    called in between, so `+= 1` loses nothing.
    """

    def __init__(self, names: list[str]) -> None:
        self.names = names
        self.hits_before = 0
        """Hits of the first storage that asked no other."""
        self.hits = [0] * len(names)
        """Other hits, by storage."""
        self.misses = self.loads = self.load_failures = self.waiters = self.stale = 0
        self.filtered = 0
        self.load_seconds = 0.0

    def snapshot(self) -> Stats:
        """Return the counts so far."""
        counts = [self.hits[0] + self.hits_before, *self.hits[1:]]
        return Stats(
            sum(counts) + self.misses,
            dict(zip(self.names, counts, strict=True)),
            self.misses,
            self.loads,
            self.load_failures,
            self.load_seconds,
            self.waiters,
            self.stale,
            self.filtered,
        )
