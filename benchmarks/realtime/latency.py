"""From a transaction to the frame at a client, and what an idle server costs."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

from app.core.config import ROOT
from benchmarks.http.child import environment, stop
from benchmarks.realtime.load import Server
from benchmarks.task.latency import migrate

WORKER = ("celery", "--app", "app.worker", "worker", "--pool", "threads", "--concurrency", "4")


def latencies(count: int, folder: Path, redis_url: str) -> list[float]:
    """Milliseconds from each transaction until a client had the frame.

    Args:
        count: How many.
        folder: For the database and the logs.
        redis_url: With it, tasks run in a worker and publications go through Redis.
    """
    folder.mkdir(exist_ok=True)
    migrate(folder)
    variables = environment(folder)
    with ExitStack() as stack, (folder / "emit.log").open("wb") as errors:
        if redis_url:
            variables |= {"REDIS_URL": redis_url, "CELERY_BROKER_URL": redis_url}
            worker = subprocess.Popen(
                [sys.executable, "-m", *WORKER],
                cwd=ROOT,
                env=variables,
                stdout=errors,
                stderr=errors,
            )
            stack.callback(stop, worker)
            time.sleep(5)
        command = [sys.executable, "-m", "benchmarks.realtime.emit", str(count)]
        output = subprocess.check_output(command, cwd=ROOT, env=variables, text=True, stderr=errors)
    return [float(line) for line in output.splitlines()]


def idle(seconds: float, clients: int) -> float:
    """Percent of a core that a server takes whose clients say nothing."""
    with Server("strongback") as server:
        server.connect(max(clients, 1))
        time.sleep(2)
        before = server.cpu_seconds()
        time.sleep(seconds)
        return (server.cpu_seconds() - before) / seconds * 100
