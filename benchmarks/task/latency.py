"""From commit to a task's first line, and what an idle server with its worker costs."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from app.core.config import ROOT
from benchmarks.http.child import cpu_seconds, environment, free_port, resident_mb, server, tree
from benchmarks.task.throughput import OURS, worker

if TYPE_CHECKING:
    import redis

SETTLE = 5.0
"""Seconds until a started server has nothing left to do."""


def migrate(folder: Path) -> None:
    """Make the application's tables in the folder's database."""
    command = [sys.executable, "-m", "flask", "--app", "app.main", "db", "upgrade"]
    subprocess.run(command, cwd=ROOT, env=environment(folder), check=True, capture_output=True)


def latencies(count: int, folder: Path, client: redis.Redis | None) -> list[float]:
    """Milliseconds from each commit until its task began.

    Args:
        count: How many messages.
        folder: With a migrated database.
        client: The broker's; None for the embedded mode.
    """
    stamps = folder / "stamps"
    stamps.unlink(missing_ok=True)
    variables = environment(folder) | {"BENCH_STAMPS": str(stamps)}
    with ExitStack() as stack:
        if client is not None:
            url = "redis://127.0.0.1:{port}/0".format(**client.get_connection_kwargs())
            variables |= {"CELERY_BROKER_URL": url}
            more = {"BENCH_STAMPS": str(stamps)}
            stack.enter_context(worker(OURS, "prefork", folder, client, more))
        command = [sys.executable, "-m", "benchmarks.task.emit", str(count)]
        with (folder / "emit.log").open("wb") as errors:
            output = subprocess.check_output(
                command, cwd=ROOT, env=variables, text=True, stderr=errors
            )
    committed = dict(line.split() for line in output.splitlines())
    began = dict(line.split() for line in stamps.read_text().splitlines())
    if set(committed) != set(began):
        raise SystemExit(f"of {len(committed)} tasks {len(began)} have begun")
    return [(float(began[number]) - float(committed[number])) * 1000 for number in committed]


def idle(seconds: float, folder: Path) -> tuple[float, float]:
    """Percent of a core, and MB, that a server takes while nobody asks it for anything."""
    port = free_port()
    command = [sys.executable, "-m", "flask", "--app", "app.main", "serve"]
    with server(command, port, environment(folder, port)) as pid:
        time.sleep(SETTLE)
        before = cpu_seconds(pid)
        time.sleep(seconds)
        share = (cpu_seconds(pid) - before) / seconds * 100
        return share, max(resident_mb(each) for each in tree(pid))
