"""Child processes that answer one JSON line with another, and servers on ports of their own."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from app.core.config import ROOT, Settings
from strongback.server.serve import METRICS_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Iterator

TICKS = os.sysconf("SC_CLK_TCK")
PATIENCE = 30.0
"""Seconds that a child gets to start and to stop."""


class Child:
    """A Python module of ours, run as a process that is asked line by line."""

    def __init__(
        self, module: str, *arguments: str, env: dict[str, str], python: str = sys.executable
    ) -> None:
        self._process = subprocess.Popen(
            [python, "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            env=env,
            text=True,
        )

    def ask(self, **question: Any) -> Any:
        self.tell(**question)
        return self.hear()

    def tell(self, **question: Any) -> None:
        """Put a question; several children can work on theirs at the same time."""
        assert self._process.stdin
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()

    def hear(self) -> Any:
        """The answer to the last question."""
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"{self._process.args}: ended without an answer")
        return json.loads(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        stop(self._process)


def environment(folder: Path, port: int = 8000, threads: int = 16) -> dict[str, str]:
    """Strongback as in production, everything of it in one folder; the others ignore it."""
    ours = {name.upper() for name in Settings.model_fields}
    inherited = {name: value for name, value in os.environ.items() if name.upper() not in ours}
    metrics = folder / "metrics"
    metrics.mkdir(parents=True, exist_ok=True)
    return inherited | {
        "APP_ENV": "production",
        "APP_SECRET_KEY": secrets.token_urlsafe(48),
        "APP_VAR_DIR": str(folder),
        "DATABASE_URL": f"sqlite:///{folder / 'app.db'}",
        "LOG_FORMAT": "json",
        "LOG_LEVEL": "INFO",
        "WEB_HOST": "127.0.0.1",
        "WEB_PORT": str(port),
        "WEB_WORKERS": "1",
        "WEB_THREADS": str(threads),
        "WEB_PROXIES": "0",
        METRICS_VARIABLE: str(metrics),
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "",
    }


def stop(process: subprocess.Popen[Any]) -> None:
    """End a child of ours, gently first."""
    if process.stdin:
        process.stdin.close()
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout:
        process.stdout.close()


def free_port() -> int:
    with socket.socket() as candidate:
        candidate.bind(("127.0.0.1", 0))
        return int(candidate.getsockname()[1])


@contextmanager
def on_cores(cores: set[int]) -> Iterator[None]:
    """What is started in the block runs on these cores only; an empty set changes nothing."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores or before)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def server(
    command: list[str], port: int, env: dict[str, str], patience: float = PATIENCE
) -> Iterator[int]:
    """Run a server, its output thrown away, until the block ends; gives its process id."""
    with Path(env["APP_VAR_DIR"], "server.log").open("wb") as errors:
        process = subprocess.Popen(
            command, cwd=ROOT, env=env, stdout=subprocess.DEVNULL, stderr=errors
        )
        try:
            _wait_until_open(process, port, Path(errors.name), patience)
            yield process.pid
        finally:
            # A server stops its own workers; a terminal's Ctrl-C has reached them as well.
            signal.signal(signal.SIGINT, signal.default_int_handler)
            stop(process)


def _wait_until_open(
    process: subprocess.Popen[Any], port: int, errors: Path, patience: float
) -> None:
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        with socket.socket() as probe:
            probe.settimeout(1)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    said = errors.read_text(errors="replace")[-2000:]
    raise SystemExit(f"the server did not start: {process.args}\n{said}")


def tree(root: int) -> list[int]:
    """The process and all its descendants."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            fields = _stat(int(entry.name))
            if fields:
                parents[int(entry.name)] = int(fields[1])
    found = [root]
    for pid in found:
        found.extend(child for child, parent in parents.items() if parent == pid)
    return found


def cpu_seconds(root: int) -> float:
    """User and system time of the process and all its descendants, in steps of 10 ms each."""
    stats = [_stat(pid) for pid in tree(root)]
    return sum(int(fields[11]) + int(fields[12]) for fields in stats if fields) / TICKS


def resident_mb(pid: int) -> float:
    """Resident memory of one process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def _stat(pid: int) -> list[str] | None:
    # proc_pid_stat(5): what follows the name in parentheses, from field 3 (state) on.
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
