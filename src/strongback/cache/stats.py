"""Counts of what a kind of node has done in this process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Stats:
    """A snapshot; counts since the process began."""

    requests: int
    """Values asked for."""
    hits: Mapping[str, int]
    """Answered by each storage."""
    misses: int
    """Answered by no storage: loaded, waited for, or known to be absent."""
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
    """The running counts. Plain integers: no lock on the way of a hit.

    CPython does not switch threads between reading and storing an attribute unless something is
    called in between, so `+= 1` loses nothing.
    """

    __slots__ = (
        "filtered",
        "hits",
        "hits_before",
        "load_failures",
        "load_seconds",
        "loads",
        "misses",
        "names",
        "stale",
        "waiters",
    )

    def __init__(self, names: list[str]) -> None:
        self.names = names
        self.hits_before = 0
        """Hits of the first storage on the short way."""
        self.hits = [0] * len(names)
        """Hits of each storage on the long way."""
        self.misses = self.loads = self.load_failures = self.waiters = self.stale = 0
        self.filtered = 0
        self.load_seconds = 0.0

    def snapshot(self) -> Stats:
        """What has been counted so far."""
        counts = [self.hits[0] + self.hits_before, *self.hits[1:]]
        hits = dict(zip(self.names, counts, strict=True))
        return Stats(
            requests=sum(counts) + self.misses,
            hits=hits,
            misses=self.misses,
            loads=self.loads,
            load_failures=self.load_failures,
            load_seconds=self.load_seconds,
            waiters=self.waiters,
            stale=self.stale,
            filtered=self.filtered,
        )
