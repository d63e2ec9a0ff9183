"""`python -m benchmarks realtime`."""

from __future__ import annotations

import json
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from secrets import token_urlsafe
from statistics import median
from typing import Any

import click

from benchmarks.http.report import Aim, machine, table
from benchmarks.realtime import latency, plot
from benchmarks.realtime.load import Server
from strongback.testing.redis import find_redis, run_redis

PARTS = ("memory", "fan-out", "emit", "idle")
NAMES = ("bare", "strongback", "strongback on Redis", "python-socketio", "Flask-SocketIO")
PACKAGES = ("websockets", "uvloop", "python-socketio", "flask-socketio", "uvicorn")


@click.command("realtime")
@click.option("--quick", is_flag=True, help="Fewer clients and rounds: a look, not a measurement.")
@click.option("--part", "parts", type=click.Choice(PARTS), multiple=True, help="Only this part.")
@click.option("--json", "file", type=click.Path(path_type=Path), help="Write all samples there.")
@click.option("--plot", "folder", type=click.Path(path_type=Path), help="Draw pictures there.")
def command(*, quick: bool, parts: tuple[str, ...], file: Path | None, folder: Path | None) -> None:
    """Compare our WebSocket server with bare frames, python-socketio and Flask-SocketIO.

    1,000 clients in one room; each has a channel of its own besides. Memory is that of the server's
    process for each client. A round sends 150 bytes to all, by each server in turn, and takes the
    time until the last client has them. Needs Linux and redis-server.
    """
    if not sys.platform.startswith("linux"):
        raise click.ClickException("CPU time and memory are read from /proc, which is Linux's.")
    if find_redis() is None:
        raise click.ClickException("redis-server is not installed: apt install redis-server")
    parts = parts or PARTS
    facts = {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "versions": ", ".join(f"{name} {version(name)}" for name in PACKAGES),
    }
    click.echo("\n".join(f"{name}: {value}" for name, value in facts.items()))
    aims: list[Aim] = []
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="strongback-bench-") as name:
        with run_redis(Path(name), password=token_urlsafe(32)) as redis:
            if {"memory", "fan-out"} & set(parts):
                found |= _servers(redis.url, quick=quick, parts=parts, aims=aims)
            if "emit" in parts:
                found |= _emit(Path(name), redis.url, quick=quick, aims=aims)
        if "idle" in parts:
            found |= _idle(quick=quick, aims=aims)
    click.echo("\nThe aims:")
    click.echo("\n".join(map(str, aims)))
    if folder:
        for picture in plot.draw(found, folder):
            click.echo(f"wrote {picture}")
    if file:
        found["aims"] = [asdict(aim) | {"is_reached": aim.is_reached} for aim in aims]
        file.write_text(json.dumps(facts | found, indent=1, ensure_ascii=False) + "\n")


def _servers(
    redis_url: str, *, quick: bool, parts: tuple[str, ...], aims: list[Aim]
) -> dict[str, Any]:
    clients, rounds = (200, 5) if quick else (1000, 15)
    memory: dict[str, float] = {}
    connecting: dict[str, float] = {}
    times: dict[str, list[float]] = {name: [] for name in NAMES}
    with ExitStack() as stack:
        servers = {}
        for name in NAMES:
            server = Server(name, redis_url if name.endswith("Redis") else "")
            servers[name] = stack.enter_context(server)
            server.connect(10)  # what only the first need
            before = server.memory()
            connecting[name] = server.connect(clients) * 1000
            memory[name] = (server.memory() - before) / clients
        if "fan-out" in parts:
            _rounds(servers, rounds, times)
    base = median(times["bare"]) if times["bare"] else 0.0
    rows = [
        [name, f"{memory[name]:.1f}", f"{connecting[name]:.2f}", *_figures(times[name], base)]
        for name in NAMES
    ]
    head = ["", "KiB a client", "ms to connect", "last delivery, ms", "best", "× bare"]
    click.echo(f"\n{clients:,} clients\n" + table(head, rows))
    aims.append(Aim("a client with two channels", memory["strongback"], 12, " KiB"))
    if base:
        ours = median(times["strongback"]) / base
        aims.append(Aim("last delivery, × bare frames", ours, 1.25, ""))
    return {"memory_kib": memory, "connect_ms": connecting, "last_delivery_ms": times}


def _rounds(servers: dict[str, Server], rounds: int, times: dict[str, list[float]]) -> None:
    length = (rounds + 2) * len(servers)
    with click.progressbar(length=length, label="fan-out", file=sys.stderr) as bar:
        for number in range(-2, rounds):
            for name, server in servers.items():
                taken = server.last_delivery()
                if number >= 0:  # the first are for warming up
                    times[name].append(taken)
                bar.update(1)


def _figures(times: list[float], base: float) -> list[str]:
    if not times:
        return ["", "", ""]
    return [f"{median(times):.1f}", f"{min(times):.1f}", f"{median(times) / base:.2f}"]


def _emit(folder: Path, redis_url: str, *, quick: bool, aims: list[Aim]) -> dict[str, Any]:
    count = 30 if quick else 200
    found = {
        "embedded": latency.latencies(count, folder / "embedded", ""),
        "Redis and a worker": latency.latencies(count, folder / "redis", redis_url),
    }
    rows = [
        [name, f"{median(times):.1f}", f"{sorted(times)[len(times) * 95 // 100]:.1f}"]
        for name, times in found.items()
    ]
    click.echo("\n" + table(["transaction to frame, ms", "median", "95 of 100"], rows))
    aims.append(Aim("transaction to frame, embedded, median", median(found["embedded"]), 50, " ms"))
    on_redis = median(found["Redis and a worker"])
    aims.append(Aim("transaction to frame, on Redis, median", on_redis, 100, " ms"))
    return {"emit_ms": found}


def _idle(*, quick: bool, aims: list[Aim]) -> dict[str, Any]:
    seconds = 5 if quick else 20
    found = {f"{clients:,}": latency.idle(seconds, clients) for clients in (1, 1000)}
    click.echo(
        "\n" + table(["idle clients", "% of a core"], [[n, f"{v:.2f}"] for n, v in found.items()])
    )
    aims.append(Aim("idle server, of a core", found["1"], 1, " %"))
    return {"idle_percent": found}
