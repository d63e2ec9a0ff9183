"""The cache's counts for Prometheus.

The cache counts in plain integers, since a hit costs less than one Prometheus counter does. What
was added to them is handed on once a second at most, and at each scrape.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping

from prometheus_client import Counter

from strongback.cache import Stats
from strongback.web.lifecycle import RequestLifecycle

INTERVAL = 1.0
"""Seconds between two times."""

HITS = Counter("cache_hits_total", "Values that a storage had.", ("node", "storage"))
COUNTS = {
    "requests": Counter("cache_requests_total", "Values asked for.", ("node",)),
    "misses": Counter("cache_misses_total", "Values that no storage had.", ("node",)),
    "loads": Counter("cache_loads_total", "Values asked of the source.", ("node",)),
    "load_failures": Counter("cache_load_failures_total", "Loads that failed.", ("node",)),
    "load_seconds": Counter("cache_load_seconds_total", "Time in the source.", ("node",)),
    "waiters": Counter("cache_waiters_total", "Requests that waited for another's.", ("node",)),
    "stale": Counter("cache_stale_served_total", "Old values served meanwhile.", ("node",)),
    "filtered": Counter("cache_filtered_total", "Known by a filter to be absent.", ("node",)),
}


class CacheFigures:
    """Hands on what was added to the counts of one process.

    Args:
        look_up: The counts so far, by kind of node.
        clock: Seconds that never go back.
    """

    def __init__(
        self,
        look_up: Callable[[], Mapping[str, Stats]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._look_up = look_up
        self._clock = clock
        self._next = 0.0
        self._published: dict[tuple[str, str], float] = {}
        self._lock = threading.Lock()

    def publish(self) -> None:
        """Hand on everything that has been counted."""
        with self._lock:
            self._next = self._clock() + INTERVAL
            for node, stats in self._look_up().items():
                for name, counter in COUNTS.items():
                    self._add(counter.labels(node), (node, name), getattr(stats, name))
                for storage, hits in stats.hits.items():
                    self._add(HITS.labels(node, storage), (node, f"hits {storage}"), hits)

    def publish_if_due(self) -> None:
        """The same, unless that was done a moment ago."""
        if self._clock() >= self._next:
            self.publish()

    def _add(self, counter: Counter, name: tuple[str, str], value: float) -> None:
        counter.inc(value - self._published.get(name, 0.0))
        self._published[name] = value


def init_cache_metrics(
    lifecycle: RequestLifecycle, look_up: Callable[[], Mapping[str, Stats]]
) -> Callable[[], None]:
    """Publish the counts after requests; returns the function that does so at a scrape."""
    figures = CacheFigures(look_up)
    lifecycle.observe(figures.publish_if_due)
    return figures.publish
