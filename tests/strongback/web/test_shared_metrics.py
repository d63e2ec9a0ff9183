from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
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
from strongback.web.shared_metrics import SharedMetrics
from tests.web_fixture import Logs

TEAS = Counter("shared_teas_total", "Teas.", ("kind",))
STEEPING = Histogram("shared_steeping_seconds", "Steeping.", buckets=(1, 10))
KETTLES = Gauge("shared_kettles", "Kettles.")
MOST = 5
"""Most other processes that a test wants."""
OTHERS = f"""
import os, sys, threading
from pathlib import Path
from prometheus_client import Counter, Histogram
from strongback.web.shared_metrics import SharedMetrics
Counter("shared_teas_total", "Teas.", ("kind",)).labels("green").inc(5)
Histogram("shared_steeping_seconds", "Steeping.", buckets=(1, 10)).observe(5)
for _ in range({MOST}):
    if not (child := os.fork()):
        SharedMetrics(Path(sys.argv[1]), threading.Event()).write()
        os._exit(0)
    os.waitpid(child, 0)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def shared(folder: Path) -> SharedMetrics:
    return SharedMetrics(folder, threading.Event())


@pytest.fixture(scope="module")
def written(starts_processes: None, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """What other processes have written, each of which counted the same and is gone."""
    folder = tmp_path_factory.mktemp("others")
    subprocess.run([sys.executable, "-c", OTHERS, str(folder)], cwd=ROOT, check=True)
    return list(folder.iterdir())


@pytest.fixture
def run_other(written: list[Path]) -> Callable[[Path], object]:
    """Another process that counts, writes, and is gone."""
    left = iter(written)
    return lambda folder: shutil.copy(next(left), folder)


def value(metrics: SharedMetrics, name: str, **labels: str) -> float:
    registry = CollectorRegistry()
    registry.register(metrics)
    return registry.get_sample_value(name, labels) or 0.0


def test_adds_up_what_all_processes_have_counted_also_those_that_are_gone(run_other, folder):
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
def test_a_file_that_cannot_be_read_costs_its_own_figures_alone(
    run_other, folder, damage, logs: Logs
):
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


def total(metrics: SharedMetrics) -> float:
    return value(metrics, "shared_teas_total", kind="green")


def test_the_files_of_ended_processes_become_one_and_no_sum_goes_back(run_other, folder):
    metrics = shared(folder)
    before = total(metrics)
    for ended in range(1, 6):
        run_other(folder)
        assert total(metrics) == before + 5 * ended
        assert total(metrics) == before + 5 * ended
    assert [path.name for path in folder.iterdir()] == ["ended.json"]


def test_a_process_that_starts_merges_what_has_ended_although_nobody_asks(run_other, folder):
    run_other(folder)
    run_other(folder)
    metrics = shared(folder)
    metrics.start()
    metrics.stop()
    assert len(list(folder.glob("*-*.json"))) == 1  # its own


def test_the_file_of_a_process_that_lives_stays_its_own(run_other, folder):
    (folder / f"{os.getppid()}-0.json").write_text("[]")
    run_other(folder)
    total(shared(folder))
    assert {path.name for path in folder.iterdir()} == {f"{os.getppid()}-0.json", "ended.json"}


def test_nothing_counts_twice_where_the_merging_process_ended_before_it_had_removed_the_rest(
    run_other,
    folder,
):
    metrics = shared(folder)
    before = total(metrics)
    run_other(folder)
    (file,) = folder.glob("*.json")
    written = file.read_bytes()
    assert total(metrics) == before + 5
    file.write_bytes(written)
    assert total(metrics) == before + 5
    assert not file.exists()
    run_other(folder)
    assert total(metrics) == before + 10


def test_many_who_ask_at_once_lose_nothing(run_other, folder, is_long):
    times = 32 if is_long else 8
    metrics = shared(folder)
    before = total(metrics)
    for _ in range(4):
        run_other(folder)
    with ThreadPoolExecutor(8) as threads:
        seen = {
            future.result() for future in [threads.submit(total, metrics) for _ in range(times)]
        }
    assert seen == {before + 20}


def test_what_cannot_be_merged_still_counts(run_other, folder, logs: Logs):
    metrics = shared(folder)
    before = total(metrics)
    run_other(folder)
    (folder / "ended.new").mkdir()  # stands for a full disk: nothing can be written there
    assert total(metrics) == before + 5
    assert total(metrics) == before + 5
    assert logs.named("metrics_not_merged")
