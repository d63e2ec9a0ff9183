"""The metrics of all workers of this machine, added up by whichever of them is asked.

Each worker counts in its own memory, and writes to a file of its own what it has counted, at most
twice a second and only after it has counted something. The one that is asked reads the others'
files. A full disk makes their figures old, and breaks nothing; files that are mapped into memory,
which prometheus-client offers for this, would end the process instead (SIGBUS).
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from secrets import token_hex
from typing import Any

from prometheus_client import REGISTRY
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from app.core.log_config import get_logger

log = get_logger(__name__)

INTERVAL = 0.5
"""Seconds between two times that a worker writes."""
SUMS = frozenset({"counter", "histogram", "summary"})
"""Kinds of metrics of which the sum over all workers says something."""


class SharedMetrics(Collector):
    """Writes what this process has counted, and reads what all have.

    Args:
        folder: Where the workers keep their files.
        changed: Set by whoever counts.
    """

    def __init__(self, folder: Path, changed: threading.Event) -> None:
        self._folder = folder
        # No two processes ever have the same name, though numbers of processes come again.
        self._path = folder / f"{os.getpid()}-{token_hex(8)}.json"
        self._changed = changed
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._write_on, name="metrics", daemon=True)
        self._is_failing = False

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def stop(self) -> None:
        """Write for the last time: what has been counted stays counted."""
        self._stopping.set()
        self._changed.set()
        self._thread.join()

    def _write_on(self) -> None:
        while not self._stopping.is_set():
            self._changed.wait()
            self._changed.clear()
            self.write()
            self._stopping.wait(INTERVAL)

    def write(self) -> None:
        """Write what has been counted so far; where that fails the figures before it remain."""
        beside = self._path.with_suffix(".new")
        try:
            beside.write_text(json.dumps(list(_own_families())))
            beside.replace(self._path)
            self._is_failing = False
        except OSError as error:
            if not self._is_failing:
                self._is_failing = True
                log.warning("metrics_not_shared", path=str(self._path), reason=str(error))

    def collect(self) -> Iterable[Metric]:
        """The sums over all workers, as Prometheus wants them."""
        sums: dict[str, Metric] = {}
        samples: dict[tuple[str, str, tuple[tuple[str, str], ...]], float] = {}
        for families in (_own_families(), *self._others()):
            for name, kind, documentation, values in families:
                sums.setdefault(name, Metric(name, documentation, kind))
                for sample, labels, value in values:
                    key = (name, sample, tuple(labels.items()))
                    samples[key] = samples.get(key, 0.0) + value
        for (name, sample, labels), value in samples.items():
            sums[name].add_sample(sample, dict(labels), value)
        return sums.values()

    def _others(self) -> Iterator[list[Any]]:
        for path in sorted(self._folder.glob("*.json")):
            if path != self._path:
                try:
                    yield json.loads(path.read_text())
                except (OSError, ValueError) as error:
                    log.warning("metrics_not_read", path=str(path), reason=str(error))


def _own_families() -> Iterator[list[Any]]:
    for metric in REGISTRY.collect():
        if metric.type in SUMS:
            values = [
                [sample.name, sample.labels, sample.value]
                for sample in metric.samples
                if sample.name != f"{metric.name}_created"
            ]
            yield [metric.name, metric.type, metric.documentation, values]
