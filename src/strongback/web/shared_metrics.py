"""The metrics of all workers of this machine, summed by the one that is scraped.

Each worker counts in memory, and writes its counts to a file at most twice a second, if they have
changed. The worker that is scraped reads the files of the others. A full disk only delays their
figures; the memory-mapped files of prometheus-client would end the process instead (SIGBUS).

The files of ended workers are merged into one, so that the cost of a scrape depends on the running
workers only. Sums never decrease: readers and writers of the merged file hold the folder's lock,
and the merged file names its sources, in case its writer ends before it has removed them.
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from typing import Any

from prometheus_client import REGISTRY
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from strongback.log.setup import get_logger

log = get_logger(__name__)

INTERVAL = 0.5
"""Seconds between two writes of a worker."""
SUMS = frozenset({"counter", "histogram", "summary"})
"""Types of metrics that can be summed over the workers."""
ENDED = "ended.json"

Families = list[Any]


class SharedMetrics(Collector):
    """Writes the counts of this process to the workers' folder, and reads those of all."""

    def __init__(self, folder: Path, changed: threading.Event) -> None:
        self._folder = folder
        # Unique, though ids of processes are reused.
        self._path = folder / f"{os.getpid()}-{token_hex(8)}.json"
        self._changed = changed
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._write_on, name="metrics", daemon=True)
        self._is_failing = False

    def start(self) -> None:
        """Start writing, after merging the files of ended workers."""
        self._read_others()
        self._thread.start()

    def stop(self) -> None:
        """Write a last time, and stop."""
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
        try:
            _replace(self._path, list(_own_families()))
            self._is_failing = False
        except OSError as error:
            if not self._is_failing:
                self._is_failing = True
                log.warning("metrics_not_shared", path=str(self._path), reason=str(error))

    def collect(self) -> Iterable[Metric]:
        """The sums over all workers as Prometheus metrics."""
        for name, kind, documentation, values in _sum([_own_families(), *self._read_others()]):
            metric = Metric(name, documentation, kind)
            for sample, labels, value in values:
                metric.add_sample(sample, labels, value)
            yield metric

    def _read_others(self) -> list[Families]:
        """The counts of the other workers, with ended ones as one."""
        try:
            with _locked(self._folder):
                return self._read_and_merge()
        except OSError as error:
            log.warning("metrics_not_read", path=str(self._folder), reason=str(error))
            return []

    def _read_and_merge(self) -> list[Families]:
        merged = _read(self._folder / ENDED) or {"contains": [], "families": []}
        living: list[Families] = []
        ended: dict[Path, Families] = {}
        for path in sorted(self._folder.glob("*-*.json")):
            if path.name in merged["contains"]:
                path.unlink()
            elif path != self._path:
                # Checked before the file is read: an ended worker writes no more.
                if _is_living(path):
                    living.append(_read(path) or [])
                else:
                    ended[path] = _read(path) or []
        families = merged["families"]
        if ended:
            families = _sum([families, *ended.values()])
            self._merge(families, ended)
        return [families, *living]

    def _merge(self, families: Families, paths: Collection[Path]) -> None:
        contains = [path.name for path in paths]
        try:
            _replace(self._folder / ENDED, {"contains": contains, "families": families})
            for path in paths:
                path.unlink()
                path.with_suffix(".new").unlink(missing_ok=True)
        except OSError as error:  # a full disk: the files stay, and are summed at each scrape
            log.warning("metrics_not_merged", path=str(self._folder), reason=str(error))


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    # The folder itself, so that no file is needed on a disk that may be full.
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _is_living(path: Path) -> bool:
    # If another process has its id, the file waits until that one ends too.
    with suppress(PermissionError):
        try:
            os.kill(int(path.name.partition("-")[0]), 0)
        except ProcessLookupError:
            return False
    return True


def _replace(path: Path, content: object) -> None:
    beside = path.with_suffix(".new")
    beside.write_text(json.dumps(content))
    beside.replace(path)


def _read(path: Path) -> Any:  # noqa: ANN401  what JSON holds
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        log.warning("metrics_not_read", path=str(path), reason=str(error))
        return None


def _sum(sources: Iterable[Iterable[list[Any]]]) -> Families:
    families: dict[str, tuple[str, str]] = {}
    sums: dict[str, dict[tuple[str, tuple[tuple[str, str], ...]], float]] = {}
    for source in sources:
        for name, kind, documentation, values in source:
            families.setdefault(name, (kind, documentation))
            samples = sums.setdefault(name, {})
            for sample, labels, value in values:
                key = (sample, tuple(labels.items()))
                samples[key] = samples.get(key, 0.0) + value
    summed: Families = []
    for name, facts in families.items():
        values = [[sample, dict(labels), value] for (sample, labels), value in sums[name].items()]
        summed.append([name, *facts, values])
    return summed


def _own_families() -> Iterator[list[Any]]:
    for metric in REGISTRY.collect():
        if metric.type in SUMS:
            values = [
                [sample.name, sample.labels, sample.value]
                for sample in metric.samples
                if sample.name != f"{metric.name}_created"
            ]
            yield [metric.name, metric.type, metric.documentation, values]
