"""What operators and periodic tasks do for a cache: warm it, and rebuild its filters."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from strongback.cache.storage import batched

BATCH = 100
"""Values that are loaded by one query."""


@dataclass(frozen=True, slots=True)
class Warmer:
    """One kind of value that can be loaded before anybody asks for it.

    Attributes:
        name: Name of these values, for the command's output.
        count: Counts the keys.
        keys: Lists the keys.
        load: Loads the values of some keys that are not cached; returns how many values there are.
    """

    name: str
    count: Callable[[], int]
    keys: Callable[[], Iterable[str]]
    load: Callable[[Sequence[str]], int]

    def warm(self) -> Iterator[tuple[int, int]]:
        """Load everything; yields after each part how many keys and how many values it had."""
        for batch in batched(self.keys(), BATCH):
            yield len(batch), self.load(batch)


class CacheMaintenance:
    """The warmers and filters that slices register.

    Args:
        is_shared: Whether what one process loads is of use to others.
    """

    def __init__(self, *, is_shared: bool) -> None:
        self.is_shared = is_shared
        self.warmers: list[Warmer] = []
        self.filters: dict[str, Callable[[], int]] = {}
        """Each builds a filter anew and returns how many keys it knows."""

    def rebuild(self) -> dict[str, int]:
        """Build every filter anew, while it goes on answering; returns how many keys each knows.

        Raises:
            RebuildRefused: Another process is at it, or Redis has lost what was built.
            RedisUnavailable: Redis does not answer.
        """
        return {name: build() for name, build in self.filters.items()}
