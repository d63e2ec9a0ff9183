"""`python -m benchmarks task`."""

from __future__ import annotations

import json
import sys
import tempfile
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median, quantiles

import click
import redis

from benchmarks.http.report import Aim, machine, ratio, table
from benchmarks.task import latency, throughput
from benchmarks.task.throughput import BARE, CONTENDERS, OURS, POOLS, Plan, Samples
from strongback.testing.redis import find_redis, run_redis

PARTS = ("throughput", "latency", "idle")


@click.command("task")
@click.option("--quick", is_flag=True, help="Fewer repetitions: a look, not a measurement.")
@click.option("--part", "parts", type=click.Choice(PARTS), multiple=True, help="Only this part.")
@click.option("--json", "file", type=click.Path(path_type=Path), help="Write all samples there.")
def command(*, quick: bool, parts: tuple[str, ...], file: Path | None) -> None:
    """Compare our tasks with bare Celery, and see how soon they begin.

    Throughput is that of a task that does nothing, on a Redis of its own: in two processes, and in
    eight threads. Latency is from a commit until the task's first line, with Redis and a worker,
    and embedded in a web process. Needs Linux and redis-server.
    """
    if not sys.platform.startswith("linux"):
        raise click.ClickException("CPU time and memory are read from /proc, which is Linux's.")
    if find_redis() is None:
        raise click.ClickException("redis-server is not installed: apt install redis-server")
    parts = parts or PARTS
    facts = {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "versions": ", ".join(f"{name} {version(name)}" for name in ("celery", "kombu", "redis")),
    }
    click.echo("\n".join(f"{name}: {value}" for name, value in facts.items()))
    aims: list[Aim] = []
    found: dict[str, object] = {}
    with tempfile.TemporaryDirectory(prefix="strongback-bench-") as name:
        folder = Path(name)
        latency.migrate(folder)
        with run_redis(folder) as server, redis.Redis.from_url(server.url) as client:
            if "throughput" in parts:
                found |= _throughput(quick=quick, folder=folder, client=client, aims=aims)
            if "latency" in parts:
                found |= _latency(quick=quick, folder=folder, client=client, aims=aims)
        if "idle" in parts:
            found |= _idle(quick=quick, folder=folder, aims=aims)
    click.echo("\nThe aims:")
    click.echo("\n".join(map(str, aims)))
    if file:
        found["aims"] = [asdict(aim) | {"is_reached": aim.is_reached} for aim in aims]
        file.write_text(json.dumps(facts | found, indent=1, ensure_ascii=False) + "\n")


def _throughput(
    *, quick: bool, folder: Path, client: redis.Redis, aims: list[Aim]
) -> dict[str, object]:
    plan = Plan(*((3, 1000) if quick else (9, 4000)))
    samples: dict[str, dict[str, Samples]] = {}
    length = len(POOLS) * (plan.rounds + 1)
    with click.progressbar(length=length, label="throughput", file=sys.stderr) as bar:
        for pool in POOLS:
            samples[pool] = throughput.measure(pool, plan, folder, client, lambda: bar.update(1))
    for pool, by_name in samples.items():
        rows = [
            [
                name,
                f"{median(each.per_second):,.0f}",
                f"{ratio(each.per_second, by_name[BARE].per_second):.2f}",
                f"{median(each.cpu_us):,.0f}",
                f"{ratio(each.cpu_us, by_name[BARE].cpu_us):.2f}",
            ]
            for name, each in by_name.items()
        ]
        head = [f"{pool}, {POOLS[pool]} at once", "tasks/s", "× bare", "CPU µs/task", "× bare"]
        click.echo("\n" + table(head, rows))
        share = ratio(by_name[OURS].per_second, by_name[BARE].per_second)
        aims.append(
            Aim(f"throughput, {pool}, × bare Celery that logs too", share, 0.95, "", is_most=False)
        )
    return {
        "throughput": {
            pool: {name: asdict(by_name[name]) for name in CONTENDERS}
            for pool, by_name in samples.items()
        }
    }


def _latency(
    *, quick: bool, folder: Path, client: redis.Redis, aims: list[Aim]
) -> dict[str, object]:
    count = 50 if quick else 300
    found = {
        "Redis": latency.latencies(count, folder, client),
        "embedded": latency.latencies(count, folder, None),
    }
    rows = [
        [name, f"{median(times):.1f}", f"{quantiles(times, n=20)[-1]:.1f}", f"{max(times):.1f}"]
        for name, times in found.items()
    ]
    head = ["commit to task, ms", "median", "95 of 100", "longest"]
    click.echo("\n" + table(head, rows))
    aims.append(Aim("commit to task, Redis, median", median(found["Redis"]), 50, " ms"))
    aims.append(Aim("commit to task, embedded, median", median(found["embedded"]), 100, " ms"))
    return {"latency_ms": found}


def _idle(*, quick: bool, folder: Path, aims: list[Aim]) -> dict[str, object]:
    share, memory = latency.idle(5 if quick else 30, folder)
    click.echo(f"\nidle server, worker and beat included: {share:.2f} % of a core, {memory:.0f} MB")
    aims.append(Aim("idle server with its worker, of a core", share, 2, " %"))
    return {"idle_percent": share, "idle_mb": memory}
