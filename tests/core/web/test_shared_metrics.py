from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from prometheus_client import (
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)

from app.core.config import ROOT
from app.core.web.shared_metrics import SharedMetrics
from tests.web_fixture import Logs

TEAS = Counter("shared_teas_total", "Teas.", ("kind",))
STEEPING = Histogram("shared_steeping_seconds", "Steeping.", buckets=(1, 10))
KETTLES = Gauge("shared_kettles", "Kettles.")
OTHER = """
import sys, threading
from pathlib import Path
from prometheus_client import Counter, Histogram
from app.core.web.shared_metrics import SharedMetrics
Counter("shared_teas_total", "Teas.", ("kind",)).labels("green").inc(5)
Histogram("shared_steeping_seconds", "Steeping.", buckets=(1, 10)).observe(5)
SharedMetrics(Path(sys.argv[1]), threading.Event()).write()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def shared(folder: Path) -> SharedMetrics:
    return SharedMetrics(folder, threading.Event())


def run_other(folder: Path) -> None:
    """Another process that counts, writes, and is gone."""
    subprocess.run([sys.executable, "-c", OTHER, str(folder)], cwd=ROOT, check=True)


def value(metrics: SharedMetrics, name: str, **labels: str) -> float:
    registry = CollectorRegistry()
    registry.register(metrics)
    return registry.get_sample_value(name, labels) or 0.0


def test_adds_up_what_all_processes_have_counted_also_those_that_are_gone(folder):
    own = REGISTRY.get_sample_value("shared_teas_total", {"kind": "green"}) or 0.0
    observed = REGISTRY.get_sample_value("shared_steeping_seconds_count") or 0.0
    run_other(folder)
    run_other(folder)
    TEAS.labels("green").inc(2)
    STEEPING.observe(0.5)
    metrics = shared(folder)
    assert value(metrics, "shared_teas_total", kind="green") == own + 12
    assert value(metrics, "shared_steeping_seconds_count") == observed + 3
    assert value(metrics, "shared_steeping_seconds_bucket", le="10.0") == observed + 3


def test_counts_its_own_figures_once_whether_or_not_they_are_written(folder):
    metrics = shared(folder)
    before = value(metrics, "shared_teas_total", kind="black")
    metrics.write()
    TEAS.labels("black").inc()
    assert value(metrics, "shared_teas_total", kind="black") == before + 1


def test_leaves_out_what_is_no_sum(folder):
    KETTLES.set(3)
    registry = CollectorRegistry()
    registry.register(shared(folder))
    text = generate_latest(registry).decode()
    assert "shared_teas_total" in text
    assert "shared_kettles" not in text
    assert "_created" not in text


def test_writes_by_itself_what_was_counted_last(folder):
    changed = threading.Event()
    metrics = SharedMetrics(folder, changed)
    metrics.start()
    TEAS.labels("white").inc()
    changed.set()
    metrics.stop()
    (file,) = folder.glob("*.json")
    assert ["shared_teas_total", {"kind": "white"}] in [
        sample[:2] for family in json.loads(file.read_text()) for sample in family[3]
    ]


@pytest.mark.parametrize("damage", [b"", b"[[", b"\xff", b"{}"])
def test_a_file_that_cannot_be_read_costs_its_own_figures_alone(folder, damage, logs: Logs):
    (folder / "1-0.json").write_bytes(damage)
    run_other(folder)
    assert value(shared(folder), "shared_teas_total", kind="green") >= 5


def test_a_folder_that_cannot_be_written_is_told_once_and_breaks_nothing(folder, logs: Logs):
    metrics = shared(folder / "gone")
    metrics.write()
    metrics.write()
    assert len(logs.named("metrics_not_shared")) == 1
    TEAS.labels("oolong").inc()
    assert value(metrics, "shared_teas_total", kind="oolong") >= 1
