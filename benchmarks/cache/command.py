"""`python -m benchmarks cache`."""

from __future__ import annotations

import json
import sys
import tempfile
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from benchmarks.cache import engine, environment, measure, page, plot, report
from benchmarks.cache.contender import CACHEME, CONTENDERS
from benchmarks.cache.source import SLOW
from benchmarks.cache.trace import least_seconds, requests
from benchmarks.http.report import machine
from strongback.testing.redis import find_redis, run_redis

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.http.report import Aim

PARTS = ("engine", "speed", "memory", "stampede", "trace")


@dataclass
class Run:
    """What is measured, how thoroughly, and what was found."""

    stage: measure.Stage
    names: tuple[str, ...]
    is_quick: bool
    rounds: int
    found: dict[str, Any] = field(default_factory=dict)
    aims: list[Aim] = field(default_factory=list)


@click.command("cache")
@click.option("--quick", is_flag=True, help="Fewer repetitions: a look, not a measurement.")
@click.option("--part", "parts", type=click.Choice(PARTS), multiple=True, help="Only this part.")
@click.option(
    "--only",
    type=click.Choice(list(CONTENDERS)),
    multiple=True,
    help="Only these caches; without redis_py, dogpile and cacheme the aims cannot be compared.",
)
@click.option("--rounds", type=click.IntRange(1, 200), help="Rounds of hits. Default: 9.")
@click.option(
    "--plot", "folder", type=click.Path(path_type=Path), help="Draw PNG and SVG files there."
)
@click.option("--docs", is_flag=True, help="Write tables and pictures into docs/.")
@click.option("--json", "file", type=click.Path(path_type=Path), help="Write all samples there.")
def command(  # noqa: PLR0913  click hands each option over by name
    *,
    quick: bool,
    parts: tuple[str, ...],
    only: tuple[str, ...],
    rounds: int | None,
    folder: Path | None,
    docs: bool,
    file: Path | None,
) -> None:
    """Compare the cache with dogpile.cache, Flask-Caching, cachetools, cashews, aiocache, cacheme.

    Local hits are CPU time, what goes to Redis is time by the clock; everybody has a turn in every
    round. Redis is started on a free port. cacheme wants old libraries: it is installed into
    var/bench/cacheme when it is first measured, and left out where that fails. Needs Linux,
    redis-server and `make .venv/.done/bench`.
    """
    if not sys.platform.startswith("linux"):
        raise click.ClickException("CPU time and memory are read from /proc, which is Linux's.")
    if find_redis() is None:
        raise click.ClickException("redis-server is not installed. Debian, Ubuntu: redis-server.")
    facts = {"time": datetime.now(UTC).isoformat(timespec="seconds"), "machine": machine()}
    facts["versions"] = report.versions()
    click.echo("\n".join(f"{name}: {value}" for name, value in facts.items()))
    names, pythons = _environments(only or tuple(CONTENDERS))
    with (
        tempfile.TemporaryDirectory(prefix="strongback-bench-") as name,
        run_redis(Path(name)) as redis,
    ):
        stage = measure.Stage(redis.port, pythons)
        run = Run(stage, names, quick, rounds or (3 if quick else 9))
        for part in parts or PARTS:
            STEPS[part](run)
    if run.aims:
        click.echo("\nThe aims:")
        click.echo("\n".join(map(str, run.aims)))
    for place in filter(None, (folder, page.IMAGES if docs else None)):
        for written in plot.draw(run.found, place):
            click.echo(f"wrote {written}")
    if docs:
        for written in page.write(run.found, facts, run.aims):
            click.echo(f"wrote {written}")
    if file:
        aims = [asdict(aim) | {"is_reached": aim.is_reached} for aim in run.aims]
        text = json.dumps({**facts, **run.found, "aims": aims}, indent=1, ensure_ascii=False)
        file.write_text(text + "\n")


def _environments(names: tuple[str, ...]) -> tuple[tuple[str, ...], dict[str, Path]]:
    """Who can be measured, and the interpreter of whoever has one of his own."""
    if CACHEME not in names:
        return names, {}
    try:
        return names, {CACHEME: environment.python()}
    except environment.EnvironmentMissing as reason:
        click.echo(f"\ncacheme is SKIPPED, its environment cannot be made: {reason}")
        return tuple(name for name in names if name != CACHEME), {}


def _bar(label: str, steps: int) -> Any:
    return click.progressbar(length=steps, label=label, file=sys.stderr)


def _engine(run: Run) -> None:
    rounds = 3 if run.is_quick else 11
    with _bar("engine", len(engine.CANDIDATES) + rounds) as bar:
        found = engine.measure(rounds, 100_000 if run.is_quick else 400_000, lambda: bar.update(1))
    run.found["engine"] = found
    click.echo(f"\n{report.engines(found)}")


def _speed(run: Run) -> None:
    with _bar("hits", len(run.names) + 2 * run.rounds + max(1, run.rounds // 3)) as bar:
        samples = measure.speed(run.stage, run.names, run.rounds, lambda: bar.update(1))
    run.found["speed_ns"] = samples
    run.aims += report.speed_aims(samples)
    click.echo(f"\n{report.speed(samples)}")
    if "strongback" in samples and len(samples) > 1:
        click.echo(f"\n{report.ours_to_peers(samples)}")


def _memory(run: Run) -> None:
    with _bar("memory", len(run.names)) as bar:
        found = measure.memory(run.stage, run.names, lambda: bar.update(1))
    run.found["memory_mb"] = found
    click.echo(f"\n{report.memory(found)}")


def _stampede(run: Run) -> None:
    rounds = 2 if run.is_quick else 5
    with _bar("stampede", len(run.names)) as bar:
        found = measure.stampede(run.stage, run.names, rounds, lambda: bar.update(1))
    run.found["stampede"] = found
    run.aims += report.stampede_aims(found)
    click.echo(f"\n{report.stampede(found)}")


def _trace(run: Run) -> None:
    """20,000 requests of 200 callers, where time is compared; then cacheme's own trace."""
    cases = [(20_000, 200, True)] + ([] if run.is_quick else [(200_000, 1_000, False)])
    for count, callers, is_timed in cases:
        keys = requests(count)
        least, unique = least_seconds(keys, callers, SLOW), len(set(keys))
        with _bar(f"trace of {count:,}", len(run.names)) as bar:
            tick: Callable[[], None] = lambda: bar.update(1)  # noqa: E731  shorter than a function
            found = measure.trace(run.stage, run.names, count, callers, tick)
        run.found[f"trace_{count}"] = {"limit": least, "unique": unique, "runs": found}
        run.aims += report.trace_aims(found, least, unique, is_timed=is_timed)
        title = f"{count:,} requests, {callers:,} callers"
        click.echo(f"\n{report.trace(found, least, unique, title)}")


STEPS: dict[str, Callable[[Run], None]] = {
    "engine": _engine,
    "speed": _speed,
    "memory": _memory,
    "stampede": _stampede,
    "trace": _trace,
}
