"""`python -m benchmarks page`: a public page beside the JSON that it is made of, both cached."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

import click

from app.core.config import ROOT
from benchmarks.http.child import cpu_seconds, environment, free_port, server
from benchmarks.http.load import run

ARTICLE = ROOT / "docs" / "guide" / "errors.md"
SLUG = "errors"
CONNECTIONS = 8
AIM = 0.9
CASES = {
    "JSON, cached": (f"/api/v1/articles/{SLUG}", ""),
    "page, Brotli": (f"/articles/{SLUG}", "gzip, deflate, br"),
    "page, plain": (f"/articles/{SLUG}", ""),
    "start page, Brotli": ("/", "gzip, deflate, br"),
}
JSON, PAGE, *_ = CASES


@click.command("page")
@click.option("--quick", is_flag=True, help="Fewer repetitions: a look, not a measurement.")
def command(*, quick: bool) -> None:
    """Compare the public page of an article with the cached read of its JSON.

    Measured are requests per CPU second of the server, in rounds in which each has a turn.
    """
    with tempfile.TemporaryDirectory(prefix="strongback-bench-") as name:
        port = free_port()
        env = environment(Path(name), port)
        flask = [sys.executable, "-m", "flask", "--app", "app.main"]
        for arguments in (
            ("db", "upgrade"),
            ("article", "import", str(ARTICLE)),
            ("static", "build", "--to", f"{name}/static"),
        ):
            subprocess.run([*flask, *arguments], cwd=ROOT, env=env, check=True, capture_output=True)
        env["WEB_STATIC_DIR"] = f"{name}/static"
        with server([*flask, "serve"], port, env) as pid:
            found = measure(port, pid, *((9, 500) if quick else (21, 2000)))
    click.echo(f"{'requests per CPU second':<24} median     best")
    for case, rates in found.items():
        click.echo(f"{case:<24} {median(rates):6,.0f} {max(rates):8,.0f}")
    # Pairs of one round: what else the machine does meets both alike.
    pairs = zip(found[PAGE], found[JSON], strict=True)
    ratio = median(page / json for page, json in pairs)
    word = "reached" if ratio >= AIM else "MISSED"
    click.echo(f"page / JSON: {ratio:.2f}, the aim is {AIM}: {word}")


def measure(port: int, pid: int, rounds: int, count: int) -> dict[str, list[float]]:
    requests = {case: request_of(port, *what) for case, what in CASES.items()}
    for request in requests.values():
        load(port, request, 200)
    rates: dict[str, list[float]] = {case: [] for case in CASES}
    for _ in range(rounds):
        for case, request in requests.items():
            before = cpu_seconds(pid)
            load(port, request, count)
            rates[case].append(count / (cpu_seconds(pid) - before))
    return rates


def load(port: int, request: bytes, count: int) -> None:
    statuses = asyncio.run(run(port, request, count, CONNECTIONS))["statuses"]
    if statuses != {"200": count}:
        raise SystemExit(f"{request!r}: {statuses}")


def request_of(port: int, path: str, accepted: str) -> bytes:
    lines = [f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", "User-Agent: bench"]
    lines += [f"Accept-Encoding: {accepted}"] if accepted else []
    return "\r\n".join([*lines, "", ""]).encode()
