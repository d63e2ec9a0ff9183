"""Part two: requests per CPU second of the server's processes, over real connections."""

from __future__ import annotations

import base64
import os
import sys
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING

from benchmarks.http.case import CASES, REFUSED, refuse_lenient, refuse_wrong
from benchmarks.http.child import (
    Child,
    cpu_seconds,
    environment,
    free_port,
    on_cores,
    resident_mb,
    server,
    tree,
)
from benchmarks.http.contender import CONTENDERS, OURS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

CONNECTIONS = 8
COUNTS = {"small": 4000, "post": 4000, "list": 1200}
WARM_UP = {"small": 400, "post": 400, "list": 200}
"""Together the 1,000 requests after which memory is read."""


@dataclass(slots=True)
class Entry:
    """One contender under one server."""

    contender: str
    server: str
    threads: int
    port: int = 0
    pid: int = 0
    worker_mb: float = 0
    total_mb: float = 0
    cpu: dict[str, list[float]] = field(default_factory=lambda: {case: [] for case in CASES})
    """CPU microseconds for one request, by case, one for each round."""
    rate: dict[str, list[float]] = field(default_factory=lambda: {case: [] for case in CASES})
    """Requests a second by the clock; depends on what else the machine does."""

    @property
    def key(self) -> str:
        return f"{self.contender}/{self.server}/{self.threads}"

    @property
    def title(self) -> str:
        threads = "" if self.server == "uvicorn" else f", {self.threads} thread"
        threads += "s" if self.threads > 1 else ""
        return f"{CONTENDERS[self.contender].title} on {self.server.capitalize()}{threads}"


@dataclass(frozen=True, slots=True)
class Plan:
    """How long, and on which cores."""

    rounds: int
    scale: float
    """Share of the usual number of requests in a round."""
    is_pinned: bool
    """The servers share one core and the load has the others."""


def entries(names: Iterable[str]) -> list[Entry]:
    return [
        Entry(name, server, threads)
        for name in names
        for server, threads in CONTENDERS[name].servers
    ]


def measure(found: list[Entry], plan: Plan, folder: Path, tick: Callable[[], None]) -> None:
    """Start every server, check its answers, then load them in turns."""
    cores = sorted(os.sched_getaffinity(0))
    ours, rest = (set(cores[-1:]), set(cores[:-1])) if plan.is_pinned else (set(), set())
    with ExitStack() as stack:
        with on_cores(rest):
            env = environment(folder / "load")
            load = stack.enter_context(Child("benchmarks.http.load", env=env))
        for entry in found:
            entry.port = free_port()
            env = environment(folder / entry.key.replace("/", "-"), entry.port, entry.threads)
            with on_cores(ours):
                entry.pid = stack.enter_context(server(command(entry), entry.port, env))
            warm_up(entry, load)
            tick()
        for _ in range(plan.rounds):
            for case, count in COUNTS.items():
                for entry in found:
                    once(entry, case, max(100, int(count * plan.scale)), load)
            tick()


def warm_up(entry: Entry, load: Child) -> None:
    """Check the answers, and read the memory after 1,000 requests."""
    for fields in REFUSED:
        body = CASES["post"].changed(fields).decode()
        found = load.ask(port=entry.port, case="post", count=1, connections=1, body=body)
        refuse_lenient(entry.title, fields, int(next(iter(found["statuses"]))))
    for name, count in WARM_UP.items():
        case = CASES[name]
        found = load.ask(port=entry.port, case=name, count=count, connections=CONNECTIONS)
        status = int(min(found["statuses"], key=lambda status: int(status) == case.status))
        refuse_wrong(entry.title, case, status, base64.b64decode(found["last"]))
    sizes = [resident_mb(pid) for pid in tree(entry.pid)]
    entry.worker_mb, entry.total_mb = max(sizes[1:] or sizes), sum(sizes)


def once(entry: Entry, case: str, count: int, load: Child) -> None:
    before = cpu_seconds(entry.pid)
    found = load.ask(port=entry.port, case=case, count=count, connections=CONNECTIONS)
    spent = cpu_seconds(entry.pid) - before
    if found["statuses"] != {str(CASES[case].status): count}:
        raise SystemExit(f"{entry.key}, {case}: {found['statuses']}")
    entry.cpu[case].append(spent / count * 1e6)
    entry.rate[case].append(count / found["seconds"])


def command(entry: Entry) -> list[str]:
    """Strongback starts by its own `serve`; the others with the same workers and threads."""
    application = f"{CONTENDERS[entry.contender].module}:create_app"
    if entry.contender == OURS:
        start = (
            "from app.core.config import load_settings;"
            "from strongback.config import WebServer; from strongback.server.serve import serve;"
            f"serve(load_settings(web_server=WebServer('{entry.server}')), '{application}')"
        )
        return [sys.executable, "-c", start]
    if entry.server == "granian":
        options = ["--interface", "wsgi", "--factory", "--workers", "1", "--no-ws"]
        options += ["--blocking-threads", str(entry.threads), "--log-level", "warning"]
        address = ["--host", "127.0.0.1", "--port", str(entry.port)]
        return [sys.executable, "-m", "granian", *options, *address, application]
    bind = f"127.0.0.1:{entry.port}"
    if entry.server == "uvicorn":
        options = ["--factory", "--no-access-log", "--log-level", "warning"]
        address = ["--host", "127.0.0.1", "--port", str(entry.port)]
        return [sys.executable, "-m", "uvicorn", application, *options, *address]
    options = ["--worker-class", "gthread", "--workers", "1", "--threads", str(entry.threads)]
    options += [
        "--keep-alive",
        "75",
        "--worker-tmp-dir",
        "/dev/shm",  # noqa: S108  Gunicorn's heartbeat
        "--no-control-socket",
    ]
    # A configuration file in the current folder would be read: this one is Strongback's.
    options += ["--config", "python:benchmarks.http.gunicorn_peer", "--log-level", "warning"]
    return [sys.executable, "-m", "gunicorn", *options, "--bind", bind, f"{application}()"]


def uvicorn_parts() -> str:
    """Uvicorn is much faster with its optional parts; say which are installed."""
    parts = [name for name in ("uvloop", "httptools") if find_spec(name)]
    return f"with {' and '.join(parts)}" if parts else "WITHOUT uvloop and httptools: slower"
