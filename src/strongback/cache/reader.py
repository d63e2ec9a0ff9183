"""Reads keys for many callers: one fills, the others wait; old values are renewed behind them."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, TypeVar

from strongback.cache.loader import Load, Loader, Renewal
from strongback.cache.plan import Plan
from strongback.cache.s3_fifo import Entry
from strongback.cache.single_flight import Flight, SingleFlight
from strongback.log.setup import get_logger

log = get_logger(__name__)

T = TypeVar("T")

ATTEMPTS = 3
"""How often a value is read anew because it was removed while it was being read."""
REFRESHERS = 4
"""Values renewed behind their readers at once."""
PAUSE = 1.0
"""Seconds until another attempt where renewing has failed or another process is at it."""


class Reader:
    """The way of whatever a first look at the local storage does not answer."""

    def __init__(self, flights: SingleFlight) -> None:
        self._flights = flights
        self.reset()

    def reset(self) -> None:
        """Forget the threads of a parent process."""
        self._refreshers = threading.BoundedSemaphore(REFRESHERS)

    def read(self, plan: Plan, key: str, load: Load) -> Any:  # noqa: ANN401  the node's type
        """The value of a key of which the first storage has nothing that is simply good."""
        entry = plan.peek(key)
        if entry is not None:
            now = plan.clock()
            if now < entry.end:
                return self._serve_due(plan, key, entry, now, load)
        if plan.filter is not None and self._is_absent(plan, key):
            return None
        return self._share(plan, key, load)

    def _is_absent(self, plan: Plan, key: str) -> bool:
        assert plan.filter is not None  # noqa: S101  asked before
        if plan.filter.may_contain([key[len(plan.prefix) :]])[0]:
            return False
        plan.counts.filtered += 1
        plan.counts.misses += 1
        return True

    def _serve_due(
        self, plan: Plan, key: str, entry: Entry, now: float, load: Load
    ) -> Any:  # noqa: ANN401  the node's type
        plan.counts.hits_before += 1
        entry.uses = 1
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
        entry = plan.peek(key)
        if entry is not None and plan.clock() < entry.due:  # another flight has just ended
            plan.counts.hits_before += counts
            flight.values[key] = entry.value
            self._flights.finish(flight, [key])
            return
        loader = Loader(self._flights, flight, plan, load, counts=counts)
        loader.run([key])
        for due in loader.due:
            self._renew_behind(plan, due, load)

    def read_all(self, plan: Plan, keys: Sequence[str], load: Load) -> dict[str, Any]:
        """The values of keys of which the first storage has nothing that is simply good."""
        wanted = list(dict.fromkeys(keys))
        absent: dict[str, Any] = {}
        if plan.filter is not None:
            bare = [key[len(plan.prefix) :] for key in wanted]
            may = dict(zip(wanted, plan.filter.may_contain(bare), strict=True))
            absent = dict.fromkeys([key for key in wanted if not may[key]])
            plan.counts.filtered += len(absent)
            plan.counts.misses += len(absent)
            wanted = [key for key in wanted if may[key]]
        flight, own, others = self._flights.join_all(wanted)
        if own:
            loader = Loader(self._flights, flight, plan, load)
            loader.run(own)
            for key in loader.due:
                self._renew_behind(plan, key, load)
        values = flight.values | absent if absent else flight.values
        for key in (*others, *flight.outdated):
            values[key] = self._share(plan, key, load)
        return values

    def renew(self, plan: Plan, key: str, load: Load) -> Any:  # noqa: ANN401  the node's type
        """Load a value now, and put it into every storage.

        Raises:
            Exception: What loading has raised; then what was there stays.
        """
        flight = self._flights.replace(key)
        Loader(self._flights, flight, plan, load, counts=False).renew(key)
        return flight.values[key]

    def renew_once(self, plan: Plan, key: str, load: Load, kept: T, renewal: Renewal) -> T:
        """A newer value than what is kept; that one while somebody else loads, or loading fails."""
        flight, leads = self._flights.join(key)
        if not leads:
            return kept
        loader = Loader(self._flights, flight, plan, load, counts=False)
        try:
            loader.renew_if(key, renewal)
        except Exception as error:  # noqa: BLE001  any loader's: what is kept serves on
            log.warning("cache_refresh_failed", node=plan.owner, error=repr(error))
        plan.counts.stale += key not in flight.values
        newer: T = flight.values.get(key, kept)
        return newer

    # Behind the readers

    def _renew_behind(self, plan: Plan, key: str, load: Load) -> None:
        """Renew a value in a thread of its own, unless enough are at it."""
        if not self._refreshers.acquire(blocking=False):
            return
        thread = threading.Thread(
            target=self._run_behind, args=(plan, key, load), name="cache-refresh", daemon=True
        )
        try:
            thread.start()
        except RuntimeError:  # no more threads, or the interpreter is going down
            self._refreshers.release()

    def _run_behind(self, plan: Plan, key: str, load: Load) -> None:
        refreshers, local = self._refreshers, plan.local
        try:
            flight, leads = self._flights.join(key)
            if leads:
                loader = Loader(self._flights, flight, plan, load, counts=False)
                loader.renew_if(
                    key,
                    Renewal(plan.is_due, plan.lease),
                    lambda: None if local is None else local.postpone(key, PAUSE),
                )
        except Exception as error:  # noqa: BLE001  any loader's: nobody else would hear of it
            log.warning("cache_refresh_failed", node=plan.owner, error=repr(error))
        finally:
            refreshers.release()
