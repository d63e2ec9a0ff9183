"""Cached lists: pages that a change makes outdated, all at once and yet not too often.

lists = CachedList(cache, "article-list", ListPage, storages=["local", "redis"])
page = lists.get("tag:tea", "page=1", lambda: read_page("tea", 1))

lists.changed("", "tag:tea")   # nobody gets a page of these from before: what changes.remove takes
lists.counted("", "tag:tea")   # the same, but for each page once a second at most
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Generic, TypeVar

from strongback.cache.loader import Renewal
from strongback.cache.manager import Manager
from strongback.cache.node import Node, Policy, StorageOptions

T = TypeVar("T")

LAG = timedelta(seconds=1)
"""How long a page may lack what has been counted."""
FILLS = 20
"""New pages a second that each process adds to a shared storage."""
MARK_TTL = timedelta(minutes=10)
CHANGED, COUNTED, COUNTED_IN_ALL = "changed", "counted", "all"
"""Sorts of marks; the last one is that of all groups."""


class CachedList(Generic[T]):
    """Pages of a list, in groups: those of one filter change together.

    A group has two marks, names that were never used before. One is part of the keys of its pages,
    and another one makes all of them new. The other lies in each page, and a page that has an
    earlier one is loaded anew: by one reader, while the others get what is there, and once in
    `lag` at most, in all processes together.

    Args:
        cache: Keeps the pages.
        prefix: Beginning of every key.
        kind: Type of a page.
        storages: As a node's.
        ttl: How long a page is kept that no change makes outdated.
        lag: How long a page may lack what has been counted.
        fills: As a node's: strangers choose which pages they ask for.
        version: Change it with the type of a page.

    Raises:
        CacheMisuse: Something in it cannot work.
    """

    def __init__(  # noqa: PLR0913  all that a node says of itself, mostly by defaults
        self,
        cache: Manager,
        prefix: str,
        kind: type[T],
        *,
        storages: Sequence[str | StorageOptions],
        ttl: timedelta = Node.ttl,
        lag: timedelta = LAG,
        fills: int = FILLS,
        version: int | str = 1,
    ) -> None:
        self._cache = cache
        self._lag = lag.total_seconds()

        def policy(lifetime: timedelta) -> Policy:
            return Policy(
                prefix,
                storages,
                lifetime,
                Node.absent_ttl,
                Node.stale,
                Node.jitter,
                Node.early,
                Node.lease,
                fills,
            )

        self._pages = cache.declare(prefix, version, policy(ttl), tuple[str, float, kind])  # type: ignore[valid-type]  # known at run time
        self._marks = cache.declare(f"{prefix}-mark", version, policy(MARK_TTL), str)

    def get(self, group: str, key: str, load: Callable[[], T], *, anew: bool = False) -> T:
        """A page, from a storage or loaded.

        Args:
            group: The list's filter, as `changed` and `counted` name it; empty for none.
            key: What tells the page from the others of its group.
            load: Reads it from its source.
            anew: Load it, whatever is kept.

        Raises:
            Exception: What `load` raises.
        """
        name = f"{self._pages.prefix}{group}:{self._mark(CHANGED, group)}:{key}"
        # Before loading: what is counted meanwhile finds the page outdated.
        counted = self._mark(COUNTED, group) + self._mark(COUNTED_IN_ALL, "")
        kept: tuple[str, float, T]
        if anew:
            kept = self._cache.refresh_key(
                self._pages, name, lambda: (counted, time.time(), load())
            )
            return kept[2]
        kept = self._cache.read_key(self._pages, name, lambda: (counted, 0.0, load()))
        if self._is_outdated(kept, counted):
            kept = self._cache.renew_key(
                self._pages,
                name,
                lambda: (counted, time.time(), load()),
                kept,
                Renewal(lambda item: self._is_outdated(item.value, counted), self._lag),
            )
        return kept[2]

    def changed(self, *groups: str) -> list[str]:
        """Keys to remove so that nobody gets a page of these groups that was loaded before."""
        return [self._key(CHANGED, group) for group in groups]

    def counted(self, *groups: str) -> list[str]:
        """Keys to remove so that pages of these groups, or of all, are loaded anew in time."""
        return [self._key(COUNTED, group) for group in groups] or [self._key(COUNTED_IN_ALL, "")]

    def _is_outdated(self, kept: tuple[str, float, T], counted: str) -> bool:
        # A clock that is behind that of another machine does not make it wait for longer.
        return kept[0] != counted and not 0 <= time.time() - kept[1] < self._lag

    def _mark(self, sort: str, group: str) -> str:
        mark: str = self._cache.read_key(self._marks, self._key(sort, group), _new_mark)
        return mark

    def _key(self, sort: str, group: str) -> str:
        return f"{self._marks.prefix}{sort}:{group}"


def _new_mark() -> str:
    return secrets.token_hex(8)
