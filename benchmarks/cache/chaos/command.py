"""`python -m benchmarks chaos cache`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from benchmarks.cache.chaos import coherence, crash, lifetime, outage
from benchmarks.http.report import machine
from strongback.testing.redis import find_redis, run_redis

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.http.report import Aim
    from strongback.testing.redis import RedisServer

PARTS = ("coherence", "outage", "crash", "lifetime")
LONG = {"coherence": 60, "outage": 20, "crash": 60, "lifetime": 60}
SHORT = {"coherence": 15, "outage": 10, "crash": 15, "lifetime": 15}
"""Seconds of each part."""


@click.command("cache")
@click.option("--quick", is_flag=True, help="Shorter runs: a look, not a proof.")
@click.option("--part", "parts", type=click.Choice(PARTS), multiple=True, help="Only this part.")
@click.option("--seconds", type=click.IntRange(5, 3600), help="How long each part lasts.")
def command(*, quick: bool, parts: tuple[str, ...], seconds: int | None) -> None:
    """Hold the cache to what it promises while Redis and its channel fail.

    coherence: four processes read and write at random, then with the invalidation channel cut.
    outage: Redis killed, then frozen, under the whole application at 100 requests a second.
    crash: writers killed between their commit and the removal, 200 in the long form.
    lifetime: an hour of expiring entries in a minute. Ends with an error where a bound is passed.
    Needs Linux and redis-server, and the third one mariadbd.
    """
    if not sys.platform.startswith("linux"):
        raise click.ClickException("The processes share Linux's monotonic clock and /proc.")
    if find_redis() is None:
        raise click.ClickException("redis-server is not installed. Debian, Ubuntu: redis-server.")
    click.echo(f"machine: {machine()}")
    aims: list[Aim] = []
    with tempfile.TemporaryDirectory(prefix="strongback-chaos-") as name:
        for part in parts or PARTS:
            folder = Path(name, part)
            folder.mkdir()
            click.echo(f"\n{part} …")
            with run_redis(folder) as redis:
                span = seconds or (SHORT if quick else LONG)[part]
                for told, found in _run(part, redis, folder, span):
                    click.echo(told)
                    click.echo("\n".join(f"  {aim}" for aim in found))
                    aims += found
    missed = [aim for aim in aims if not aim.is_reached]
    click.echo(f"\n{len(aims) - len(missed)} of {len(aims)} bounds kept")
    if missed:
        raise click.ClickException("\n".join(map(str, missed)))


def _run(
    part: str, redis: RedisServer, folder: Path, seconds: float
) -> Iterator[tuple[str, list[Aim]]]:
    if part == "coherence":
        return coherence.run(redis.port, folder, seconds)
    if part == "outage":
        return outage.run(redis, folder, seconds)
    if part == "crash":
        return crash.run(redis, folder, seconds)
    return lifetime.run(redis.port, seconds)
