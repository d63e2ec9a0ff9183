"""Prometheus metrics, summed over all workers of this machine.

With `PROMETHEUS_MULTIPROC_DIR` set before Python starts (`flask serve` does), prometheus-client
keeps each process's figures in a file, and whichever worker is asked adds them up.
"""

from __future__ import annotations

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
from prometheus_client.multiprocess import MultiProcessCollector

from app.core.web.request import Response

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


@cache
def _series(method: str, route: str, status: int) -> Histogram:
    # `labels` costs a lock and three conversions each time; the set of series is small.
    return REQUESTS.labels(method, route, str(status))


def observe_request(method: str, route: str, status: int, seconds: float) -> None:
    """Count one answered request."""
    _series(method if method in _METHODS else "other", route, status).observe(seconds)


def count_limit_without_redis(policy: str) -> None:
    """Count one rate limit that Redis could not be asked about."""
    LIMITS_WITHOUT_REDIS.labels(policy).inc()


def init_metrics(app: Flask, folder: Path | None) -> None:
    """Serve `/metrics`.

    Args:
        app: Where.
        folder: Where the workers keep their figures; None for this process's alone.
    """

    def metrics() -> Response:
        """Prometheus metrics of all workers."""
        registry = REGISTRY
        if folder:
            registry = CollectorRegistry()
            MultiProcessCollector(registry, str(folder))  # type: ignore[no-untyped-call]  # untyped there
        headers = {"Cache-Control": "no-store"}
        return Response(
            generate_latest(registry), headers=headers, content_type=CONTENT_TYPE_LATEST
        )

    app.add_url_rule("/metrics", view_func=metrics)
