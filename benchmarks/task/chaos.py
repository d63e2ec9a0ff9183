"""`python -m benchmarks chaos task`: tasks while processes are killed and the broker goes away."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median

import click

from app.core.config import Settings
from benchmarks.http.report import Aim, machine
from strongback.config import Environment
from strongback.database import Base
from strongback.testing import empty
from strongback.testing.mariadb import find_mariadb, run_mariadb
from strongback.testing.redis import RedisServer, find_redis, run_redis
from tests.support import chaos
from tests.support.chaos import Finding, Outage
from tests.support.worker import WorkerHarness

VISIBILITY = 4
"""Seconds; just above the limit of the slowest task."""
SCENARIOS = ("worker-kill", "worker-stop", "web-kill", "broker-stop", "broker-freeze")
CATCH_UP, WRITE, REDELIVERY = 20, 0.5, VISIBILITY + 3


@click.command("task")
@click.option("--quick", is_flag=True, help="A few rounds: a look, not a proof.")
@click.option("--only", type=click.Choice(SCENARIOS), multiple=True, help="Only these scenarios.")
@click.option(
    "--database",
    type=click.Choice(["mariadb", "sqlite"]),
    default="mariadb",
    help="Where the outbox is. Default: mariadb.",
)
def command(*, quick: bool, only: tuple[str, ...], database: str) -> None:
    """Kill workers and web processes, take the broker away, and count what is lost or repeated.

    A worker is killed in the middle of its task 20 times and stopped under load 10 times; a web
    process is killed 50 times, half of them exactly between a commit and its dispatch; the broker
    is stopped and frozen for 30 s each. Needs redis-server and, unless --database=sqlite, MariaDB.
    """
    for binary, is_there in {
        "redis-server": find_redis(),
        "mariadbd": find_mariadb() or database == "sqlite",
    }.items():
        if not is_there:
            raise click.ClickException(f"{binary} is not installed")
    click.echo(f"{machine()}, outbox on {database}\n")
    aims: list[Aim] = []
    for name in only or SCENARIOS:
        with _workers(database) as (workers, server):
            found = _run(name, workers, server, quick=quick)
        click.echo("\n".join(map(str, found)))
        aims += found
    sys.exit(0 if all(aim.is_reached for aim in aims) else 1)


@contextmanager
def _workers(database: str) -> Iterator[tuple[WorkerHarness, RedisServer]]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="strongback-chaos-")))
        server = stack.enter_context(run_redis(folder))
        url = f"sqlite:///{folder / 'chaos.db'}"
        if database == "mariadb":
            url = stack.enter_context(run_mariadb(folder)).url
        settings = Settings(
            _env_file=None,
            app_env=Environment.TEST,
            app_var_dir=folder,
            database_url=url,
            celery_broker_url=server.url,
            task_visibility_timeout=VISIBILITY,
            log_level="ERROR",
        )
        workers = WorkerHarness(settings, folder)
        empty(workers.database, Base.metadata)
        stack.callback(workers.close)
        yield workers, server


def _run(name: str, workers: WorkerHarness, server: RedisServer, *, quick: bool) -> list[Aim]:
    if name.startswith("broker"):
        workers.dispatcher.start()
        away = server.frozen if name == "broker-freeze" else lambda: _stopped(server)
        seconds = 5 if quick else 30
        click.echo(f"{name}: {seconds} s", err=True)
        return _outage_aims(f"{name} {seconds} s", chaos.lose_broker(workers, away, seconds))
    scenario, rounds = {
        "worker-kill": (chaos.kill_workers, 3 if quick else 20),
        "worker-stop": (chaos.stop_workers, 2 if quick else 10),
        "web-kill": (chaos.kill_writers, 6 if quick else 50),
    }[name]
    if name != "web-kill":
        workers.dispatcher.start()
    with click.progressbar(length=rounds, label=name, file=sys.stderr) as bar:
        finding = scenario(workers, rounds, lambda: bar.update(1))
    return _finding_aims(f"{name} × {rounds}", finding)


@contextmanager
def _stopped(server: RedisServer) -> Iterator[None]:
    server.kill()
    yield
    server.start()


def _finding_aims(title: str, finding: Finding) -> list[Aim]:
    aims = [
        Aim(f"{title}, of {finding.written} messages lost", finding.lost, 0, ""),
        Aim(f"{title}, repeated effects", finding.repeated, 0, ""),
        Aim(f"{title}, effects of what was rolled back", finding.ghosts, 0, ""),
    ]
    if finding.redeliveries:
        longest, usual = max(finding.redeliveries), median(finding.redeliveries)
        text = f"{title}, longest redelivery (median {usual:.1f} s)"
        aims.append(Aim(text, longest, REDELIVERY, " s"))
    return aims


def _outage_aims(title: str, outage: Outage) -> list[Aim]:
    return [
        *_finding_aims(title, outage.finding),
        Aim(f"{title}, failed writes", outage.failed, 0, ""),
        Aim(f"{title}, 99 of 100 writes within", outage.p99, WRITE, " s"),
        Aim(f"{title}, caught up after the return", outage.drained, CATCH_UP, " s"),
    ]
