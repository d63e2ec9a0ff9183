"""The cache's counts for Prometheus, read at each scrape: a hit costs less than a Counter does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from weakref import WeakSet

from prometheus_client import REGISTRY
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from strongback.cache import Manager

COUNTS = {
    "requests": "Values asked for.",
    "misses": "Values that no storage had.",
    "loads": "Values asked of the source.",
    "load_failures": "Loads that failed.",
    "load_seconds": "Time in the source.",
    "waiters": "Requests that waited for another's.",
    "stale_served": "Old values served meanwhile.",
    "filtered": "Known by a filter to be absent.",
}
"""Metrics, and what they say."""


class CacheCollector(Collector):
    """The counts of all caches in this process."""

    def __init__(self) -> None:
        self._caches: WeakSet[Manager] = WeakSet()

    def add(self, cache: Manager) -> None:
        """Collect the counts of a cache, too."""
        self._caches.add(cache)

    def describe(self) -> Iterable[CounterMetricFamily]:
        """Nothing: no other collector has these names."""
        return ()

    def collect(self) -> Iterable[CounterMetricFamily]:
        """The counts as Prometheus metrics."""
        found = [item for cache in self._caches for item in cache.all_stats().items()]
        for name, text in COUNTS.items():
            counts: Counter[tuple[str, ...]] = Counter()
            for node, stats in found:
                counts[node,] += getattr(stats, name.removesuffix("_served"))
            yield _family(f"cache_{name}", text, counts, "node")
        hits: Counter[tuple[str, ...]] = Counter()
        for node, stats in found:
            hits.update({(node, storage): count for storage, count in stats.hits.items()})
        yield _family("cache_hits", "Values that a storage had.", hits, "node", "storage")


def _family(
    name: str, text: str, counts: Counter[tuple[str, ...]], *labels: str
) -> CounterMetricFamily:
    family = CounterMetricFamily(name, text, labels=labels)
    for values, count in counts.items():
        family.add_metric(values, count)
    return family


CACHES = CacheCollector()
REGISTRY.register(CACHES)
