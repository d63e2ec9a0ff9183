"""Cached lists: pages that a change makes outdated, all at once and yet not too often.

lists = CachedList(cache, "article-list", ListPage)
page = lists.get("tag:tea", "page=1", lambda: read_page("tea", 1))

invalidator.invalidate_list(Article, lists, lambda article: ["", *tags_of(article)])
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Generic, TypeVar

from pydantic import BaseModel

from strongback.cache.loader import Renewal
from strongback.cache.manager import Manager
from strongback.cache.node import Node
from strongback.cache.policy import LOCAL_AND_REDIS, Policy, StorageOptions, short_key

T = TypeVar("T")

LAG = timedelta(seconds=1)
"""Longest time for which a page may lack what has been counted."""
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
        prefix: Beginning of every key.
        kind: Type of a page.
        storages: As a node's.
        ttl: Lifetime of a page that no change makes outdated.
        lag: Longest time for which a page may lack what has been counted.
        fills: As a node's: strangers choose which pages they ask for.
        version: Change it with the type of a page.

    Raises:
        CacheMisuse: An argument cannot work.
    """

    def __init__(  # noqa: PLR0913  the options of a node, most with defaults
        self,
        cache: Manager,
        prefix: str,
        kind: type[T],
        *,
        storages: Sequence[str | StorageOptions] = LOCAL_AND_REDIS,
        ttl: timedelta = Node.ttl,
        lag: timedelta = LAG,
        fills: int = FILLS,
        version: int | str = 1,
    ) -> None:
        self._cache = cache
        self._lag = lag.total_seconds()
        options = {"version": version, "storages": storages, "fills": fills}
        pages = Policy.of(prefix, prefix=prefix, ttl=ttl, **options)
        marks = Policy.of(prefix, prefix=f"{prefix}-mark", ttl=MARK_TTL, **options)
        self._pages = cache.declare(pages, tuple[str, float, kind])  # type: ignore[valid-type]  # known at run time
        self._marks = cache.declare(marks, str)

    def get(
        self, group: str, key: str | BaseModel, load: Callable[[], T], *, reload: bool = False
    ) -> T:
        """Return a page, from a storage or loaded.

        Args:
            group: The list's filter, as in `invalidate_list`; empty for none.
            key: Tells the page from the others of its group; a query stands for its fields.
            load: Reads the page from its source.
            reload: Whether to load the page even if it is kept.

        Raises:
            Exception: What `load` raises.
        """
        text = key if isinstance(key, str) else key.model_dump_json(exclude_defaults=True)
        mark = self._mark(CHANGED, group)
        name = f"{self._pages.prefix}{group}:{mark}:{short_key(text)}"
        # Before loading: what is counted meanwhile finds the page outdated.
        counted = self._mark(COUNTED, group) + self._mark(COUNTED_IN_ALL, "")

        def load_now() -> tuple[str, float, T]:
            return counted, time.time(), load()

        kept: tuple[str, float, T]
        if reload:
            kept = self._cache.refresh_key(self._pages, name, load_now)
            return kept[2]
        kept = self._cache.read_key(self._pages, name, lambda: (counted, 0.0, load()))
        if self._is_outdated(kept, counted):
            renewal = Renewal(lambda item: self._is_outdated(item.value, counted), self._lag)
            kept = self._cache.renew_key(self._pages, name, load_now, kept, renewal)
        return kept[2]

    def changed_keys(self, *groups: str) -> list[str]:
        """Return the keys to remove so that nobody gets a page of these groups from before."""
        return [self._key(CHANGED, group) for group in groups]

    def counted_keys(self, *groups: str) -> list[str]:
        """Return the keys to remove so that pages of these groups, or of all, follow in time."""
        return [self._key(COUNTED, group) for group in groups] or [self._key(COUNTED_IN_ALL, "")]

    def _is_outdated(self, kept: tuple[str, float, T], counted: str) -> bool:
        # A clock that is behind that of another machine does not make it wait for longer.
        return kept[0] != counted and not 0 <= time.time() - kept[1] < self._lag

    def _mark(self, sort: str, group: str) -> str:
        mark: str = self._cache.read_key(
            self._marks, self._key(sort, group), lambda: secrets.token_hex(8)
        )
        return mark

    def _key(self, sort: str, group: str) -> str:
        return f"{self._marks.prefix}{sort}:{group}"
