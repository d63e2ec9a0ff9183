"""Tasks a second: the workers run beside each other and take turns at a full queue."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import redis

from app.core.config import ROOT
from benchmarks.http.child import cpu_seconds, environment, stop

POOLS = {"prefork": 2, "threads": 8}
"""Pool and tasks at once."""
OURS, BARE, SILENT = "Strongback", "bare Celery, -l INFO", "bare Celery, silent"
CONTENDERS = {
    OURS: ("benchmarks.task.ours", "default", ("-Q", "default")),
    BARE: ("benchmarks.task.bare", "bare-info", ("-Q", "bare-info", "-l", "INFO")),
    SILENT: ("benchmarks.task.bare", "bare-silent", ("-Q", "bare-silent")),
}
"""Module, queue and options. Ours writes one log event for each task, `-l INFO` two."""
DEADLINE = 120


@dataclass
class Samples:
    """One contender's rounds."""

    per_second: list[float] = field(default_factory=list)
    cpu_us: list[float] = field(default_factory=list)
    """CPU of all its processes, per task."""


@dataclass(frozen=True)
class Plan:
    """How often, and how many tasks at a time."""

    rounds: int
    count: int


def measure(
    pool: str, plan: Plan, folder: Path, client: redis.Redis, step: Callable[[], object]
) -> dict[str, Samples]:
    """Tasks a second of each contender, in each round."""
    found = {name: Samples() for name in CONTENDERS}
    with ExitStack() as stack:
        workers = {
            name: stack.enter_context(worker(name, pool, folder, client)) for name in CONTENDERS
        }
        for number in range(plan.rounds + 1):
            names = list(CONTENDERS)
            for name in names[number % 3 :] + names[: number % 3]:
                before = cpu_seconds(workers[name])
                per_second = empty_queue(CONTENDERS[name][1], plan.count, client)
                if number:  # the first one warms up
                    found[name].per_second.append(per_second)
                    found[name].cpu_us.append(
                        (cpu_seconds(workers[name]) - before) / plan.count * 1e6
                    )
            step()
    return found


def empty_queue(queue: str, count: int, client: redis.Redis) -> float:
    """Fill the queue at one stroke, and take the time of all but its first and last tenth."""
    with client.pipeline() as pipe:
        for number in range(count):
            pipe.lpush("staged", message(queue, number))
        pipe.execute()
    client.rename("staged", queue)
    began = wait_for_length(client, queue, count * 0.9)
    ended = wait_for_length(client, queue, count * 0.1)
    wait_for_length(client, queue, 0)
    while client.hlen("unacked"):
        time.sleep(0.005)
    return count * 0.8 / (ended - began)


def message(queue: str, number: int) -> bytes:
    """A message as Celery puts it into the queue."""
    identity = f"{number:032x}"
    return json.dumps(
        {
            "body": "W1tdLCB7fSwgeyJjYWxsYmFja3MiOiBudWxsLCAiZXJyYmFja3MiOiBudWxsLCAiY2hhaW4iOi"
            "BudWxsLCAiY2hvcmQiOiBudWxsfV0=",
            "content-encoding": "utf-8",
            "content-type": "application/json",
            "headers": {"lang": "py", "task": "bench:nothing", "id": identity},
            "properties": {
                "correlation_id": identity,
                "delivery_mode": 2,
                "delivery_info": {"exchange": "", "routing_key": queue},
                "priority": 0,
                "body_encoding": "base64",
                "delivery_tag": identity,
            },
        }
    ).encode()


def wait_for_length(client: redis.Redis, queue: str, length: float) -> float:
    deadline = time.monotonic() + DEADLINE
    while client.llen(queue) > length:
        assert time.monotonic() < deadline, f"{queue} is not emptied"
        time.sleep(0.005)
    return time.monotonic()


@contextmanager
def worker(
    name: str, pool: str, folder: Path, client: redis.Redis, more: dict[str, str] | None = None
) -> Iterator[int]:
    """Run a contender's worker and wait until it has done a task; gives its process id."""
    module, queue, options = CONTENDERS[name]
    url = "redis://127.0.0.1:{port}/0".format(**client.get_connection_kwargs())
    command = [sys.executable, "-m", "celery", "-A", module, "worker", "-P", pool]
    command += ["-c", str(POOLS[pool]), "-n", f"{queue}@bench", *options]
    command += ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    variables = environment(folder) | {"BENCH_BROKER": url, "CELERY_BROKER_URL": url}
    variables |= more or {}
    log = folder / f"{queue}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=ROOT, env=variables, stdout=output, stderr=output)
    try:
        client.lpush(queue, message(queue, 0))
        deadline = time.monotonic() + DEADLINE
        while client.llen(queue) or client.hlen("unacked"):
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"{name} took no task:\n{log.read_text()[-2000:]}")
            time.sleep(0.05)
        yield process.pid
    finally:
        stop(process)
