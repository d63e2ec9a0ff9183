"""`python -m benchmarks http`."""

from __future__ import annotations

import json
import sys
import tempfile
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import click

from benchmarks.http import in_process, report, served
from benchmarks.http.contender import CONTENDERS
from benchmarks.http.start import import_seconds

PARTS = ("in-process", "served", "start")


@click.command("http")
@click.option("--quick", is_flag=True, help="Fewer repetitions: a look, not a measurement.")
@click.option("--part", "parts", type=click.Choice(PARTS), multiple=True, help="Only this part.")
@click.option(
    "--only",
    type=click.Choice(list(CONTENDERS)),
    multiple=True,
    help="Only these contenders; without bare and FastAPI there is nothing to compare with.",
)
@click.option("--rounds", type=click.IntRange(1, 200), help="Rounds in process. Default: 21.")
@click.option(
    "--pin/--no-pin",
    "is_pinned",
    default=True,
    help="Servers on one core and the load on the others, or all on all. Default: --pin.",
)
@click.option("--json", "file", type=click.Path(path_type=Path), help="Write all samples there.")
def command(  # noqa: PLR0913  click hands each option over by name
    *,
    quick: bool,
    parts: tuple[str, ...],
    only: tuple[str, ...],
    rounds: int | None,
    is_pinned: bool,
    file: Path | None,
) -> None:
    """Compare the HTTP layer with bare Flask, its frameworks, and FastAPI.

    Three routes: a small GET, a validated POST of six fields, a list of 50 articles. Measured is
    CPU time, not time by the clock, in rounds in which everybody has a turn. Everything runs on
    127.0.0.1 on free ports and in a temporary folder. Needs Linux and `make .venv/.done/bench`.
    """
    if not sys.platform.startswith("linux"):
        raise click.ClickException("CPU time and memory are read from /proc, which is Linux's.")
    parts = parts or PARTS
    names = only or tuple(CONTENDERS)
    facts = {"time": datetime.now(UTC).isoformat(timespec="seconds"), "machine": report.machine()}
    facts |= {"versions": report.versions(), "uvicorn": served.uvicorn_parts()}
    click.echo("\n".join(f"{name}: {value}" for name, value in facts.items()))
    samples = entries = start = None
    with tempfile.TemporaryDirectory(prefix="strongback-bench-") as name:
        folder = Path(name)
        if "start" in parts:
            start = _start(folder, 3 if quick else 7)
        if "in-process" in parts:
            samples = _in_process(names, rounds or (5 if quick else 21), folder)
        if "served" in parts:
            entries = _served(
                names, served.Plan(*(2, 0.25) if quick else (5, 1.0), is_pinned), folder
            )
    aims = report.aims(samples, entries, start)
    if aims:
        click.echo("\nThe aims:")
        click.echo("\n".join(map(str, aims)))
    if file:
        found = {
            **facts,
            "in_process_us": samples,
            "served": [asdict(entry) for entry in entries or []],
            "import_seconds": start,
            "aims": [asdict(aim) | {"is_reached": aim.is_reached} for aim in aims],
        }
        file.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")


def _start(folder: Path, repetitions: int) -> list[float]:
    import_seconds("import app.main", folder, 1)  # files come from the disk, once
    whole = import_seconds("import app.main", folder, repetitions)
    alone = import_seconds("pass", folder, repetitions)
    click.echo(
        f"\nimport app.main: {sorted(whole)[len(whole) // 2]:.2f} s user + system, best"
        f" {min(whole):.2f} s, of which the interpreter alone {min(alone):.2f} s"
    )
    return whole


def _in_process(names: tuple[str, ...], rounds: int, folder: Path) -> in_process.Samples:
    steps = len(names) + rounds
    with click.progressbar(length=steps, label="in process", file=sys.stderr) as bar:
        samples = in_process.measure(names, rounds, folder, lambda: bar.update(1))
    click.echo("\n" + report.in_process(samples))
    if "strongback" in samples and len(samples) > 1:
        click.echo("\n" + report.ours_to_peers(samples))
    return samples


def _served(names: tuple[str, ...], plan: served.Plan, folder: Path) -> list[served.Entry]:
    entries = served.entries(names)
    steps = len(entries) + plan.rounds
    with click.progressbar(length=steps, label="under servers", file=sys.stderr) as bar:
        served.measure(entries, plan, folder, lambda: bar.update(1))
    click.echo("\n" + report.served(entries))
    return entries
