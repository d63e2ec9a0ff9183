"""The way of a miss: ask the storages in order, load once, keep what is still true."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from strongback.cache.plan import FillRate, Plan, SharedTier, Tier
from strongback.cache.single_flight import Flight, SingleFlight
from strongback.cache.storage import BUSY, MISSING, Item, Lease, SharedStorage

Load = Callable[[Sequence[str]], Sequence[Any]]
"""Reads values from their source, one for each key in order."""


class Renewal(NamedTuple):
    """Conditions for loading a value again that is there."""

    is_due: Callable[[Item], bool]
    """Tells whether the shared storage's value is to be loaded again."""
    pause: float
    """Seconds in which no other process begins."""
    postpone: Callable[[], object] = lambda: None
    """Called if there is nothing newer in the end, before another thread can begin."""


class Loader:
    """Finds the values of some keys of one plan in its storages, or loads them.

    Args:
        flight: The load of these keys; receives their values.
        counts: Whether hits and misses are requests; a refresh is none.
    """

    def __init__(
        self, flights: SingleFlight, flight: Flight, plan: Plan, load: Load, *, counts: bool = True
    ) -> None:
        self._flights = flights
        self._flight = flight
        self._plan = plan
        self._load = load
        self._counts = counts
        self._leases: dict[str, Lease] = {}
        self.due: list[str] = []
        """Keys whose value should be refreshed soon, behind the reader."""

    def find(self, keys: list[str]) -> None:
        """Find or load the keys' values, keep them, and end the flight, also for those who wait."""
        plan, missing = self._plan, keys
        busy: list[str] = []
        try:
            for tier in plan.beyond:
                if not isinstance(tier, SharedTier):
                    answers: Sequence[object] = tier.storage.get_all(missing, plan.codec)
                elif plan.fills is None:
                    answers = tier.storage.acquire_all(missing, plan.codec, plan.lease)
                else:
                    answers = self._acquire_some(tier.storage, plan.fills, missing)
                sought = len(missing) + len(busy)
                missing = self._take(tier, missing, answers, busy)
                if self._counts:
                    plan.counts.hits[tier.depth] += sought - len(missing) - len(busy)
                if not missing:
                    break
            if self._counts:
                plan.counts.misses += len(missing) + len(busy)
            if missing:
                self._load_all(missing)
            for key in busy:
                self._await(key)
        except Exception as error:
            self._flight.error = error
            raise
        finally:
            self._flights.finish(self._flight, keys)

    def refresh(self, key: str, renewal: Renewal | None = None) -> None:
        """Load a value again, and end the flight.

        A renewal loads it only if it is due and no other process loads it or has done so.
        """
        try:
            if self._may_refresh(key, renewal):
                self._load_all([key])
        except Exception as error:
            self._flight.error = error
            raise
        finally:
            if renewal is not None and key not in self._flight.values:
                renewal.postpone()
            self._flights.finish(self._flight, [key])

    # In the storages

    def _acquire_some(
        self, shared: SharedStorage, fills: FillRate, keys: list[str]
    ) -> Sequence[object]:
        """Ask the shared storage, and for leases where more may be added to it."""
        codec = self._plan.codec
        found = shared.get_all(keys, codec)
        absent = [key for key, item in zip(keys, found, strict=True) if item is MISSING]
        if not absent or not fills.take(len(absent)):
            return found
        leased = shared.acquire_all(absent, codec, self._plan.lease)
        leases = dict(zip(absent, leased, strict=True))
        return [leases.get(key, item) for key, item in zip(keys, found, strict=True)]

    def _take(
        self, tier: Tier, keys: list[str], answers: Sequence[object], busy: list[str]
    ) -> list[str]:
        """Take a storage's items; return the keys that are missing, add those that others load."""
        plan, values = self._plan, self._flight.values
        missing: list[str] = []
        most_early = plan.most_early if tier is plan.shared else -1.0
        for key, answer in zip(keys, answers, strict=True):
            if type(answer) is Item:
                values[key], fresh, _, cost, _ = answer
                if fresh <= cost * most_early and plan.is_due(answer):
                    plan.counts.stale += fresh <= 0
                    self.due.append(key)
            elif answer is BUSY:
                busy.append(key)
            else:
                missing.append(key)
                if type(answer) is Lease:
                    self._leases[key] = answer
        if tier.above:
            self._copy_up(tier, dict(zip(keys, answers, strict=True)))
        return missing

    def _copy_up(self, tier: Tier, answers: Mapping[str, object]) -> None:
        plan = self._plan
        items = {
            key: answer
            for key, answer in answers.items()
            if isinstance(answer, Item) and answer.fresh > 0
        }

        def store(current: list[str]) -> None:
            for above in tier.above:
                copies = {key: plan.copy(above, items[key]) for key in current}
                above.storage.set_all(copies, plan.codec)

        if items:
            self._flights.store(self._flight, items, store)

    def _await(self, key: str) -> None:
        """Wait for another process, or load in its place."""
        plan, tier = self._plan, self._plan.shared
        assert tier is not None  # noqa: S101  only a shared storage says BUSY
        plan.counts.waiters += 1
        answer = tier.storage.wait(key, plan.codec, plan.lease)
        if missing := self._take(tier, [key], [answer], []):
            self._load_all(missing)

    def _may_refresh(self, key: str, renewal: Renewal | None) -> bool:
        plan, tier = self._plan, self._plan.shared
        if tier is None:
            return True
        shared = tier.storage
        (answer,) = shared.acquire_all([key], plan.codec, plan.lease)
        if renewal is None and answer is BUSY:  # replace what the other is about to put there
            shared.remove([key])
            (answer,) = shared.acquire_all([key], plan.codec, plan.lease)
        elif renewal is not None and isinstance(answer, Item):
            if not renewal.is_due(answer):
                self._take(tier, [key], [answer], [])
                return False
            if not shared.claim_refresh(key, renewal.pause):
                return False
        if isinstance(answer, Item | Lease):
            self._leases[key] = Lease(answer.token)
        return renewal is None or answer is not BUSY

    # From the source

    def _load_all(self, keys: list[str]) -> None:
        """Load values, and keep them wherever they have not been removed meanwhile."""
        counts, started = self._plan.counts, time.perf_counter()
        counts.loads += len(keys)
        validate = self._plan.adapter.validator.validate_python
        try:
            values = {
                key: None if value is None else validate(value)
                for key, value in zip(keys, self._load(keys), strict=True)
            }
        except BaseException:
            counts.load_failures += len(keys)
            leases = {key: self._leases[key] for key in keys if key in self._leases}
            if leases and self._plan.shared is not None:
                self._plan.shared.storage.release(leases)
            raise
        finally:
            cost = time.perf_counter() - started
            counts.load_seconds += cost
        self._keep(values, cost)
        self._flight.values.update(values)

    def _keep(self, values: Mapping[str, Any], cost: float) -> None:
        """Fill the shared storage first: what it refuses is outdated, and not kept here either."""
        plan, tier = self._plan, self._plan.shared
        kept = list(values)
        if tier is not None and self._leases:
            leased = {
                key: (self._leases[key], plan.item(tier, value, cost))
                for key, value in values.items()
                if key in self._leases
            }
            filled = tier.storage.fill_all(leased, plan.codec)
            kept = [key for key in kept if key in filled or key not in leased]
        if plan.private:
            self._flights.store(
                self._flight,
                kept,
                lambda current: plan.keep({key: values[key] for key in current}, cost),
            )
