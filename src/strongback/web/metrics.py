"""Prometheus metrics, summed over all workers of this machine (`shared_metrics`)."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from weakref import WeakSet

from flask import Flask
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Histogram,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from strongback.cache import Manager
from strongback.web.request import Response
from strongback.web.shared_metrics import SharedMetrics

# A client may send any method; each would be a time series of its own.
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

REQUESTS = Histogram(
    "http_request_duration_seconds",
    "Duration of a request in seconds.",
    ("method", "route", "status"),
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
LIMITS_WITHOUT_REDIS = Counter(
    "rate_limit_without_redis_total",
    "Rate limits checked without Redis: refused (closed) or counted by process (process).",
    ("policy",),
)
CACHE_COUNTS = {
    "requests": "Values asked for.",
    "misses": "Values that no storage had.",
    "loads": "Values asked of the source.",
    "load_failures": "Loads that failed.",
    "load_seconds": "Time in the source.",
    "waiters": "Requests that waited for another's.",
    "stale_served": "Old values served meanwhile.",
    "filtered": "Known by a filter to be absent.",
}
CHANGED = threading.Event()
"""Set when a request was counted since the figures were last written."""


@cache
def _series(method: str, route: str, status: int) -> Histogram:
    # `labels` costs a lock and three conversions each time; the set of series is small.
    return REQUESTS.labels(method, route, str(status))


def observe_request(method: str, route: str, status: int, seconds: float) -> None:
    """Count one request."""
    _series(method if method in _METHODS else "other", route, status).observe(seconds)
    if not CHANGED.is_set():
        CHANGED.set()


@dataclass(frozen=True, slots=True)
class Gauge:
    """A figure of the whole application, looked up at each scrape."""

    name: str
    """Name with the unit, as in Prometheus: `outbox_lag_seconds`."""
    help: str
    value: float | dict[str, float]
    """The value, or one for each state."""


class CacheCollector(Collector):
    """The counts of all caches in this process, read at each scrape.

    A hit costs less than a `Counter` does.
    """

    def __init__(self) -> None:
        self.caches: WeakSet[Manager] = WeakSet()

    def describe(self) -> Iterable[CounterMetricFamily]:
        """Nothing: no other collector has these names."""
        return ()

    def collect(self) -> Iterable[CounterMetricFamily]:
        """The counts as Prometheus metrics."""
        found = [item for cache in self.caches for item in cache.all_stats().items()]
        for name, text in CACHE_COUNTS.items():
            field = name.removesuffix("_served")
            counts = (((node,), getattr(stats, field)) for node, stats in found)
            yield _sum(f"cache_{name}", text, ("node",), counts)
        hits = (((node, storage), n) for node, stats in found for storage, n in stats.hits.items())
        yield _sum("cache_hits", "Values that a storage had.", ("node", "storage"), hits)


def _sum(
    name: str, text: str, labels: tuple[str, ...], counts: Iterable[tuple[tuple[str, ...], float]]
) -> CounterMetricFamily:
    sums: dict[tuple[str, ...], float] = defaultdict(float)
    for values, count in counts:
        sums[values] += count
    family = CounterMetricFamily(name, text, labels=labels)
    for values, count in sums.items():
        family.add_metric(values, count)
    return family


CACHES = CacheCollector()
REGISTRY.register(CACHES)


class _Gauges(Collector):
    def __init__(self, look_up: Callable[[], Iterable[Gauge]]) -> None:
        self._look_up = look_up

    def collect(self) -> Iterable[GaugeMetricFamily]:
        for gauge in self._look_up():
            if isinstance(gauge.value, dict):
                family = GaugeMetricFamily(gauge.name, gauge.help, labels=("state",))
                for state, value in gauge.value.items():
                    family.add_metric((state,), value)
            else:
                family = GaugeMetricFamily(gauge.name, gauge.help, value=gauge.value)
            yield family


def init_metrics(
    app: Flask, folder: Path | None, gauges: Callable[[], Iterable[Gauge]] = tuple
) -> SharedMetrics | None:
    """Serve `/metrics`: of all workers that share a folder, or of this process alone.

    Returns what shares this worker's metrics, to be started with the process.
    """
    looked_up = CollectorRegistry()
    looked_up.register(_Gauges(gauges))
    shared, registry = SharedMetrics(folder, CHANGED) if folder else None, REGISTRY
    if shared:
        registry = CollectorRegistry()
        registry.register(shared)

    def metrics() -> Response:
        text = generate_latest(registry) + generate_latest(looked_up)
        headers = {"Cache-Control": "no-store"}
        return Response(text, headers=headers, content_type=CONTENT_TYPE_LATEST)

    app.add_url_rule("/metrics", view_func=metrics)
    return shared
