"""Work of operators and periodic tasks on a cache: warming it, rebuilding its filters."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from strongback.cache.storage import batched

BATCH = 100
"""Values that are loaded by one query."""


@dataclass(frozen=True, slots=True)
class Warmer:
    """A kind of values that can be loaded before they are asked for.

    Attributes:
        name: Name of these values, for the command's output.
        count: Counts the keys.
        keys: Lists the keys.
        load: Loads the values of some keys that are not cached; returns the number of values.
    """

    name: str
    count: Callable[[], int]
    keys: Callable[[], Iterable[str]]
    load: Callable[[Sequence[str]], int]

    def warm(self) -> Iterator[tuple[int, int]]:
        """Load everything; yield the numbers of keys and values of each batch."""
        for batch in batched(self.keys(), BATCH):
            yield len(batch), self.load(batch)


class CacheMaintenance:
    """The warmers and filters that slices register.

    Args:
        is_shared: Whether other processes use what one process loads.
    """

    def __init__(self, *, is_shared: bool) -> None:
        self.is_shared = is_shared
        self.warmers: list[Warmer] = []
        self.filters: dict[str, Callable[[], int]] = {}
        """Functions that rebuild a filter and return its number of keys."""

    def rebuild(self) -> dict[str, int]:
        """Rebuild every filter while it goes on answering; return the number of keys of each.

        Raises:
            RebuildRefused: Another process is at it, or Redis has lost what was built.
            RedisUnavailable: Redis does not answer.
        """
        return {name: build() for name, build in self.filters.items()}
