"""The way of a miss: ask the storages in order, load once, keep what is still true."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from strongback.cache.flight import Flight, Flights
from strongback.cache.plan import Level, Plan
from strongback.cache.storage import BUSY, MISSING, Item, Lease, SharedStorage

Load = Callable[[Sequence[str]], Sequence[Any]]
"""Reads values from their source, one for each key in order."""


class Renewal(NamedTuple):
    """When a value that is there is loaded again."""

    is_due: Callable[[Item], bool]
    """Whether this one is, which the shared storage has."""
    pause: float
    """Seconds for which no other process begins."""


class Fill:
    """One fill of some keys of one plan: from the first storage that has them, or the source.

    Args:
        flights: Who else fills what.
        flight: The keys' own; the values end up in it.
        plan: Of the keys.
        load: Reads what no storage has.
        counts: Whether its hits and misses are requests; a refresh is none.
    """

    def __init__(
        self, flights: Flights, flight: Flight, plan: Plan, load: Load, *, counts: bool = True
    ) -> None:
        self._flights = flights
        self._flight = flight
        self._plan = plan
        self._load = load
        self._counts = counts
        self._leases: dict[str, Lease] = {}
        self.due: list[str] = []
        """Keys whose value should be refreshed soon, by whoever has time."""

    def run(self, keys: list[str]) -> None:
        """Find or load the keys' values, keep them, and end the flight.

        Raises:
            Exception: What loading has raised; it reaches the waiters too.
        """
        self._landing(lambda: self._find(keys), keys)

    def _landing(self, fill: Callable[[], object], keys: list[str]) -> None:
        try:
            fill()
        except Exception as error:
            self._flight.error = error
            raise
        finally:
            self._flights.end(self._flight, keys)

    def _find(self, keys: list[str]) -> None:
        plan, missing, busy = self._plan, keys, []
        depth = len(plan.levels) - len(plan.beyond)
        for level in plan.beyond:
            if level.shared is None:
                answers: Sequence[object] = level.storage.get_all(missing, plan.codec)
            else:
                answers = self._ask(level.shared, missing)
            missing, held = self._sort(depth, missing, answers)
            busy += held
            if not missing:
                break
            depth += 1
        if self._counts:
            plan.counts.misses += len(missing) + len(busy)
        if missing:
            self.load(missing)
        for key in busy:
            self._await(key)

    def _ask(self, shared: SharedStorage, keys: list[str]) -> Sequence[object]:
        """What the shared storage has, with leases for the rest where more may be added to it."""
        codec, fills = self._plan.codec, self._plan.fills
        if fills is None:
            return shared.acquire_all(keys, codec, self._plan.lease)
        found = shared.get_all(keys, codec)
        absent = [key for key, item in zip(keys, found, strict=True) if item is MISSING]
        if not absent or not fills.take(len(absent)):
            return found
        leases = dict(zip(absent, shared.acquire_all(absent, codec, self._plan.lease), strict=True))
        return [leases.get(key, item) for key, item in zip(keys, found, strict=True)]

    def _sort(
        self, depth: int, keys: list[str], answers: Sequence[object]
    ) -> tuple[list[str], list[str]]:
        """Take the items; return the keys that are missing, and those that others fill."""
        hits: dict[str, Item] = {}
        missing, busy = [], []
        for key, answer in zip(keys, answers, strict=True):
            if type(answer) is Item:
                hits[key] = answer
                continue
            if answer is BUSY:
                busy.append(key)
                continue
            missing.append(key)
            if type(answer) is Lease:
                self._leases[key] = answer
        if hits:
            self._take(depth, hits)
        return missing, busy

    def _take(self, depth: int, hits: dict[str, Item]) -> None:
        """Hand out what a storage had, and fill those above it."""
        plan = self._plan
        if self._counts:
            plan.counts.hits[depth] += len(hits)
        above = [level for level in plan.levels[:depth] if level.shared is None]
        if above:
            good = [key for key, item in hits.items() if item.fresh > 0]

            def store(current: list[str]) -> None:
                for level in above:
                    copies = {key: plan.copy(level, hits[key]) for key in current}
                    level.storage.set_all(copies, plan.codec)

            self._flights.store(self._flight, good, store)
        values, most_early = self._flight.values, plan.early * 40
        is_shared = plan.levels[depth].shared is not None
        for key, item in hits.items():
            values[key], fresh, _, cost, _ = item
            # Nobody is early by so many times the cost; most items are spared the question.
            if fresh <= cost * most_early and is_shared and plan.is_due(item):
                plan.counts.stale += fresh <= 0
                self.due.append(key)

    def _await(self, key: str) -> None:
        """Wait for another process, or load in its place."""
        plan = self._plan
        assert plan.shared is not None  # noqa: S101  only a shared storage says BUSY
        plan.counts.waiters += 1
        answer = plan.shared.wait(key, plan.codec, plan.lease)
        if isinstance(answer, Item):
            self._counts, counts = False, self._counts
            depth = next(i for i, level in enumerate(plan.levels) if level.shared is not None)
            self._take(depth, {key: answer})
            self._counts = counts
            return
        if isinstance(answer, Lease):
            self._leases[key] = answer
        self.load([key])

    # Loading

    def load(self, keys: list[str]) -> None:
        """Load values and keep them wherever nobody has removed them meanwhile."""
        counts, started = self._plan.counts, time.perf_counter()
        counts.loads += len(keys)
        try:
            values = self._validated(keys, self._load(keys))
        except BaseException:
            counts.load_failures += len(keys)
            self._release(keys)
            raise
        finally:
            cost = time.perf_counter() - started
            counts.load_seconds += cost
        self._keep(values, cost)
        self._flight.values.update(values)

    def _validated(self, keys: list[str], loaded: Sequence[Any]) -> dict[str, Any]:
        validate = self._plan.adapter.validator.validate_python
        return {
            key: None if value is None else validate(value)
            for key, value in zip(keys, loaded, strict=True)
        }

    def _release(self, keys: list[str]) -> None:
        leases = {key: self._leases[key] for key in keys if key in self._leases}
        if leases and self._plan.shared is not None:
            self._plan.shared.release(leases)

    def _keep(self, values: Mapping[str, Any], cost: float) -> None:
        """Fill the shared storage first: what it refuses is outdated, and not kept here either."""
        plan, kept = self._plan, list(values)
        for level in plan.levels:
            if level.shared is not None:
                leased = {
                    key: (self._leases[key], plan.item(level, value, cost))
                    for key, value in values.items()
                    if key in self._leases
                }
                if leased:
                    filled = level.shared.fill_all(leased, plan.codec)
                    kept = [key for key in kept if key in filled or key not in leased]
        if plan.private:
            self._flights.store(
                self._flight,
                kept,
                lambda current: keep(plan, {key: values[key] for key in current}, cost),
            )

    # Refreshing

    def renew(self, key: str) -> None:
        """Load a value now, whatever is there.

        Raises:
            Exception: What loading has raised.
        """
        shared = self._plan.shared
        if shared is None:
            self._landing(lambda: self.load([key]), [key])
        else:
            self._landing(lambda: self._seize(shared, key), [key])

    def _seize(self, shared: SharedStorage, key: str) -> None:
        """Replace what is there, or what another process is about to put there."""
        (answer,) = shared.acquire_all([key], self._plan.codec, self._plan.lease)
        if answer is BUSY:
            shared.remove([key])
            (answer,) = shared.acquire_all([key], self._plan.codec, self._plan.lease)
        if isinstance(answer, Item | Lease):
            self._leases[key] = Lease(answer.token)
        self.load([key])

    def renew_if(
        self, key: str, renewal: Renewal, postpone: Callable[[], object] = lambda: None
    ) -> None:
        """Load a value again unless another process does, or has done it.

        Args:
            key: Of the value.
            renewal: When, and how often at most.
            postpone: Called while nobody else can begin, if there is nothing newer in the end.

        Raises:
            Exception: What loading has raised.
        """
        shared = self._plan.shared

        def renew() -> None:
            try:
                if shared is None:
                    self.load([key])
                else:
                    self._renew_shared(shared, key, renewal)
            finally:
                if key not in self._flight.values:
                    postpone()

        self._landing(renew, [key])

    def _renew_shared(self, shared: SharedStorage, key: str, renewal: Renewal) -> None:
        plan = self._plan
        (answer,) = shared.acquire_all([key], plan.codec, plan.lease)
        if isinstance(answer, Item):
            if not renewal.is_due(answer):
                depth = next(i for i, level in enumerate(plan.levels) if level.shared is not None)
                self._take(depth, {key: answer})
                return
            if not shared.claim_refresh(key, renewal.pause):
                return
        if answer is BUSY:
            return
        if isinstance(answer, Item | Lease):
            self._leases[key] = Lease(answer.token)
        self.load([key])


def keep(plan: Plan, values: Mapping[str, Any], cost: float) -> None:
    """Put values into the storages that are this process's own."""
    for level in plan.private:
        level.storage.set_all(_items(plan, level, values, cost), plan.codec)


def _items(plan: Plan, level: Level, values: Mapping[str, Any], cost: float) -> dict[str, Item]:
    return {key: plan.item(level, value, cost) for key, value in values.items()}
