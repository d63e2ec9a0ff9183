"""What operators and periodic tasks do for a cache: warm it, and rebuild its filters."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

BATCH = 100
"""Values that are loaded by one query."""


@dataclass(frozen=True, slots=True)
class CacheCare:
    """What there is to take care of.

    Args:
        is_shared: Whether what one process loads is of use to others.
        count: How many keys can be loaded before anybody asks for them.
        keys: These keys.
        load: Loads what is not there of some keys; says how many values there are.
        filters: Builds each filter anew; says how many keys it knows.
    """

    is_shared: bool
    count: Callable[[], int]
    keys: Callable[[], Iterable[str]]
    load: Callable[[Sequence[str]], int]
    filters: Mapping[str, Callable[[], int]] = field(default_factory=dict)

    def warm(self) -> Iterator[tuple[int, int]]:
        """Load everything; tells after each part how many keys and how many values it had."""
        keys = iter(self.keys())
        while batch := list(islice(keys, BATCH)):
            yield len(batch), self.load(batch)

    def rebuild(self) -> dict[str, int]:
        """Build every filter anew, while it goes on answering; says how many keys each knows.

        Raises:
            RebuildRefused: Another process is at it, or Redis has lost what was built.
            RedisUnavailable: Redis does not answer.
        """
        return {name: build() for name, build in self.filters.items()}
