"""Reads keys for many callers: one loads, the others wait; old values are renewed behind them."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, TypeVar

from strongback.cache.loader import Load, Loader, Renewal
from strongback.cache.plan import Plan
from strongback.cache.s3_fifo import Entry
from strongback.cache.single_flight import Flight, SingleFlight
from strongback.cache.storage import MISSING
from strongback.log.setup import get_logger

log = get_logger(__name__)

T = TypeVar("T")

ATTEMPTS = 3
"""Reads of a value that is removed while it is being read."""
REFRESHERS = 4
"""Values renewed behind their readers at once."""
PAUSE = 1.0
"""Seconds until another attempt where renewing has failed or another process is at it."""


class Reader:
    """Reads keys that a first look at the local storage does not answer."""

    def __init__(self, flights: SingleFlight) -> None:
        self._flights = flights
        self.reset()

    def reset(self) -> None:
        """Forget the threads of a parent process."""
        self._refreshers = threading.BoundedSemaphore(REFRESHERS)

    def read(self, plan: Plan, key: str, load: Load) -> Any:  # noqa: ANN401  the node's type
        """Return the value of a key."""
        if plan.local is not None:
            entry = plan.peek(key)
            if entry is not None and plan.clock() < entry.end:
                return self._serve(plan, key, entry, load)
        if plan.filter is not None and not self._pass_filter(plan, [key]):
            return None
        return self._share(plan, key, load)

    def read_all(self, plan: Plan, keys: Sequence[str], load: Load) -> dict[str, Any]:
        """Return the values of keys."""
        wanted = passed = list(dict.fromkeys(keys))
        if plan.filter is not None:
            passed = self._pass_filter(plan, wanted)
        values = {} if plan.private else self._look(plan, passed)
        if len(values) < len(passed):
            missing = [key for key in passed if key not in values]
            flight, own, others = self._flights.join_all(missing)
            if own:
                loader = Loader(self._flights, flight, plan, load)
                loader.find(own)
                for key in loader.due:
                    self._renew_behind(plan, key, load)
            values |= flight.values
            for key in (*others, *flight.outdated):
                values[key] = self._share(plan, key, load)
        return values if passed is wanted else dict.fromkeys(wanted) | values

    def _look(self, plan: Plan, keys: list[str]) -> dict[str, Any]:
        """Return fresh values of a shared storage that is the only one: nothing is copied from it.

        Without a flight, which takes as long as the half of a look.
        """
        assert plan.shared is not None  # noqa: S101  there is no other
        values, most_early = {}, plan.most_early
        for key, item in zip(keys, plan.shared.storage.get_all(keys, plan.codec), strict=True):
            if item is not MISSING and item.fresh > item.cost * most_early:
                values[key] = item.value
        plan.counts.hits[0] += len(values)
        return values

    def refresh(self, plan: Plan, key: str, load: Load) -> Any:  # noqa: ANN401  the node's type
        """Load a value now, put it into every storage, and return it; see `Manager.refresh`."""
        flight = self._flights.replace(key)
        Loader(self._flights, flight, plan, load, counts=False).refresh(key)
        return flight.values[key]

    def renew(self, plan: Plan, key: str, load: Load, kept: T, renewal: Renewal) -> T:
        """Return a newer value than what is kept; that one while another loads or loading fails."""
        flight = self._renew(plan, key, load, renewal)
        if flight is None:
            return kept
        plan.counts.stale += key not in flight.values
        newer: T = flight.values.get(key, kept)
        return newer

    def _pass_filter(self, plan: Plan, keys: list[str]) -> list[str]:
        """Return the keys that may have a value."""
        assert plan.filter is not None  # noqa: S101  asked before
        bare = [key[len(plan.prefix) :] for key in keys]
        passes = plan.filter.may_contain(bare)
        passed = [key for key, may_exist in zip(keys, passes, strict=True) if may_exist]
        plan.counts.filtered += len(keys) - len(passed)
        plan.counts.misses += len(keys) - len(passed)
        return passed

    def _serve(
        self, plan: Plan, key: str, entry: Entry, load: Load
    ) -> Any:  # noqa: ANN401  the node's type
        plan.counts.hits_before += 1
        entry.uses = 1
        now = plan.clock()
        if now >= entry.due:
            plan.counts.stale += now >= entry.stale
            if not self._flights.is_under_way(key):
                self._renew_behind(plan, key, load)
        return entry.value

    def _share(self, plan: Plan, key: str, load: Load) -> Any:  # noqa: ANN401  the node's type
        """Load the key, or wait for the thread that loads it; again if it is removed meanwhile."""
        for attempt in range(1, ATTEMPTS + 1):
            counts = attempt == 1
            flight, leads = self._flights.join(key)
            if leads:
                self._lead(plan, key, flight, load, counts=counts)
            else:
                plan.counts.waiters += counts
                plan.counts.misses += counts
                if not flight.wait(plan.lease):
                    self._flights.abandon(flight, key)
            if key in flight.values and (attempt == ATTEMPTS or key not in flight.outdated):
                return flight.values[key]
            if flight.error is not None:
                raise flight.error
        # The thread that was waited for has hung or died, each time.
        flight = self._flights.replace(key)
        self._lead(plan, key, flight, load, counts=False)
        return flight.values[key]

    def _lead(self, plan: Plan, key: str, flight: Flight, load: Load, *, counts: bool) -> None:
        entry = plan.peek(key) if plan.local is not None else None
        if entry is not None and plan.clock() < entry.due:  # another flight has just ended
            plan.counts.hits_before += counts
            flight.values[key] = entry.value
            self._flights.finish(flight, [key])
            return
        loader = Loader(self._flights, flight, plan, load, counts=counts)
        loader.find([key])
        for due in loader.due:
            self._renew_behind(plan, due, load)

    # Behind the readers

    def _renew(self, plan: Plan, key: str, load: Load, renewal: Renewal) -> Flight | None:
        """Load a value again; return the flight unless another thread has one."""
        flight, leads = self._flights.join(key)
        if not leads:
            return None
        try:
            Loader(self._flights, flight, plan, load, counts=False).refresh(key, renewal)
        except Exception as error:  # noqa: BLE001  any loader's: what is kept serves on
            log.warning("cache_refresh_failed", node=plan.owner, error=repr(error))
        return flight

    def _renew_behind(self, plan: Plan, key: str, load: Load) -> None:
        """Renew a value in a thread of its own, unless enough are at it."""
        refreshers, local = self._refreshers, plan.local

        def postpone() -> None:
            if local is not None:
                local.postpone(key, PAUSE)

        def run() -> None:
            try:
                self._renew(plan, key, load, Renewal(plan.is_due, plan.lease, postpone))
            finally:
                refreshers.release()

        if not refreshers.acquire(blocking=False):
            return
        try:
            threading.Thread(target=run, name="cache-refresh", daemon=True).start()
        except RuntimeError:  # no more threads, or the interpreter is going down
            refreshers.release()
