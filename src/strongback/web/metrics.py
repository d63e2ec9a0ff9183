"""Prometheus metrics, summed over all workers of this machine (`shared_metrics`)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from flask import Flask
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Histogram,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from strongback.web.request import Response
from strongback.web.shared_metrics import SharedMetrics

# A client may invent methods; each would be a time series of its own.
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

REQUESTS = Histogram(
    "http_request_duration_seconds",
    "Time to answer a request; its count is the number of requests.",
    ("method", "route", "status"),
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)


LIMITS_WITHOUT_REDIS = Counter(
    "rate_limit_without_redis_total",
    "Rate limits checked while Redis was gone: refused (closed) or counted by process (process).",
    ("policy",),
)


CHANGED = threading.Event()
"""That a request was counted since the others were last told."""


@cache
def _series(method: str, route: str, status: int) -> Histogram:
    # `labels` costs a lock and three conversions each time; the set of series is small.
    return REQUESTS.labels(method, route, str(status))


def observe_request(method: str, route: str, status: int, seconds: float) -> None:
    """Count one answered request."""
    _series(method if method in _METHODS else "other", route, status).observe(seconds)
    if not CHANGED.is_set():
        CHANGED.set()


def count_limit_without_redis(policy: str) -> None:
    """Count one rate limit that Redis could not be asked about."""
    LIMITS_WITHOUT_REDIS.labels(policy).inc()


@dataclass(frozen=True, slots=True)
class Gauge:
    """A figure that is the same for all processes, and is looked up when it is asked for."""

    name: str
    """With its unit, as Prometheus names things: `outbox_lag_seconds`."""
    help: str
    """What it says."""
    value: float | dict[str, float]
    """The figure, or one for each state."""


class _Gauges(Collector):
    """Looks the figures up at each scrape."""

    def __init__(self, look_up: Callable[[], Iterable[Gauge]]) -> None:
        self._look_up = look_up

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """The figures, as Prometheus wants them."""
        for gauge in self._look_up():
            if isinstance(gauge.value, dict):
                family = GaugeMetricFamily(gauge.name, gauge.help, labels=("state",))
                for state, value in gauge.value.items():
                    family.add_metric((state,), value)
            else:
                family = GaugeMetricFamily(gauge.name, gauge.help, value=gauge.value)
            yield family


def init_metrics(
    app: Flask,
    folder: Path | None,
    gauges: Callable[[], Iterable[Gauge]] = tuple,
    publish: Callable[[], object] = lambda: None,
) -> SharedMetrics | None:
    """Serve `/metrics`.

    Returns what shares this worker's figures with the others, to be started with the process.

    Args:
        app: Where.
        folder: Where the workers keep their figures; None for this process's alone.
        gauges: Looks up figures that no process counts by itself; none while it cannot.
        publish: Hands on what this process has counted by other means.
    """
    looked_up = CollectorRegistry()
    looked_up.register(_Gauges(gauges))
    shared, registry = SharedMetrics(folder, CHANGED) if folder else None, REGISTRY
    if shared:
        registry = CollectorRegistry()
        registry.register(shared)

    def metrics() -> Response:
        """Prometheus metrics of all workers."""
        publish()
        text = generate_latest(registry) + generate_latest(looked_up)
        headers = {"Cache-Control": "no-store"}
        return Response(text, headers=headers, content_type=CONTENT_TYPE_LATEST)

    app.add_url_rule("/metrics", view_func=metrics)
    return shared
