"""The plan of one kind of values in one manager: all that can be computed before a request."""

from __future__ import annotations

import math
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pydantic import TypeAdapter

from strongback.cache.error import CacheMisuse
from strongback.cache.local_storage import LocalStorage
from strongback.cache.policy import Policy
from strongback.cache.s3_fifo import Entry
from strongback.cache.serializer import Serializer
from strongback.cache.stats import Counts
from strongback.cache.storage import Item, SharedStorage, Storage


class Filter(Protocol):
    """Tells keys that may exist from others; see `BloomFilter`."""

    def may_contain(self, keys: Sequence[str]) -> list[bool]:
        """Tell for each key False if there is certainly no value, True if there may be one."""
        ...


@dataclass(frozen=True, slots=True)
class Tier:
    """One storage of a plan."""

    name: str
    storage: Storage
    ttl: float
    depth: int
    """Its place in the order in which the storages are asked."""
    above: tuple[Tier, ...]
    """Storages of this process that are asked before it."""


@dataclass(frozen=True, slots=True)
class SharedTier(Tier):
    """One that processes share."""

    storage: SharedStorage


class FillRate:
    """Bounds the new keys a second of a process; a minute's worth at once. Safe between threads."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._left = self._most = 60.0 * rate
        self._counted_at = time.monotonic()
        self._lock = threading.Lock()

    def take(self, count: int) -> bool:
        """Tell whether so many keys may be added now, and count them if so."""
        with self._lock:
            now = time.monotonic()
            self._left = min(self._most, self._left + (now - self._counted_at) * self._rate)
            self._counted_at = now
            if count > self._left:
                return False
            self._left -= count
            return True


class Plan:
    """The storages, lifetimes and counts of one kind of value, which all have to be known."""

    def __init__(
        self,
        policy: Policy,
        adapter: TypeAdapter[Any],
        storages: Mapping[str, Storage],
        serializer: Serializer,
    ) -> None:
        self.owner = policy.owner
        self.prefix = f"{policy.prefix}:{policy.version}:"
        """Beginning of every key."""
        self.adapter = adapter
        self.codec = serializer.codec(adapter)
        self.tiers: list[Tier] = []
        for name, ttl in policy.lifetimes():
            self._add(name, ttl, storages)
        shared = [tier for tier in self.tiers if isinstance(tier, SharedTier)]
        if len(shared) > 1:
            raise CacheMisuse(f"{self.owner}: names two shared storages; one hands out the leases")
        self.shared = shared[0] if shared else None
        self.private = [tier for tier in self.tiers if tier is not self.shared]
        self.absent_ttl = policy.absent_ttl.total_seconds()
        self.stale = policy.stale.total_seconds()
        self.lease = policy.lease.total_seconds()
        self.jitter, self.early = policy.jitter, policy.early
        self.most_early = 40 * policy.early
        """Times the cost by which nobody is early, so that most items are spared the question."""
        self.fills = None if policy.fills is None else FillRate(policy.fills)
        self.filter: Filter | None = None
        self.counts = Counts([tier.name for tier in self.tiers])
        first = self.tiers[0].storage
        self.local = first if isinstance(first, LocalStorage) else None
        self.beyond = self.tiers[1:] if self.local is not None else self.tiers
        """The storages that are asked once the first, if it is local, has nothing."""
        self.peek: Callable[[str], Entry | None] = lambda _: None
        self.clock: Callable[[], float] = time.monotonic
        if self.local is not None:
            self.peek, self.clock = self.local.peek, self.local.clock

    def _add(self, name: str, ttl: float, storages: Mapping[str, Storage]) -> None:
        storage = storages.get(name)
        if storage is None:
            known = ", ".join(sorted(storages)) or "none"
            message = f"no storage is registered as {name!r} (there are: {known})"
            raise CacheMisuse(f"{self.owner}: {message}; call register_storage first")
        above = tuple(tier for tier in self.tiers if not isinstance(tier, SharedTier))
        # A look at each method of a protocol is slow: what is most often there is asked for first.
        if not isinstance(storage, LocalStorage) and isinstance(storage, SharedStorage):
            self.tiers.append(SharedTier(name, storage, ttl, len(self.tiers), above))
        else:
            self.tiers.append(Tier(name, storage, ttl, len(self.tiers), above))

    def item(self, tier: Tier, value: object, cost: float) -> Item:
        """Return a value that was just loaded, with its lifetime in this storage."""
        is_absent = value is None
        ttl = min(tier.ttl, self.absent_ttl) if is_absent else tier.ttl
        fresh = ttl * (1 - self.jitter * random.random())  # noqa: S311  spreads ends
        kept = fresh if is_absent else fresh + self.stale
        return Item(value, fresh, kept, cost if tier is self.shared else cost * self.early)

    def copy(self, tier: Tier, item: Item) -> Item:
        """Return a value from a storage further down, with its lifetime in this one."""
        own = self.item(tier, item.value, 0)
        if own.fresh < item.fresh:
            return own  # it will be read from below again, which is no load
        kept = min(item.fresh + self.stale, item.kept)
        return Item(item.value, item.fresh, kept, item.cost * self.early)

    def keep(self, values: Mapping[str, Any], cost: float) -> None:
        """Put values into the storages that are this process's own."""
        for tier in self.private:
            items = {key: self.item(tier, value, cost) for key, value in values.items()}
            tier.storage.set_all(items, self.codec)

    def is_due(self, item: Item) -> bool:
        """Tell whether this reader is the one to refresh a shared storage's value (XFetch)."""
        if item.fresh <= 0:
            return True
        spread = -math.log(1.0 - random.random())  # noqa: S311  chooses a reader
        return item.fresh < item.cost * self.early * spread
