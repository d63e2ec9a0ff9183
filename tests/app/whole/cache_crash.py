"""What readers get after writers have died between the commit and the removal of cached values.

The short form runs among the tests, the long one by `make chaos ARGS=cache`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from app.core.config import ROOT, Settings
from strongback.background import Background
from strongback.config import Environment
from strongback.database import Base
from tests.support.api import API
from tests.support.process import start_module
from tests.support.worker import DEADLINE, wait_until

ARTICLES = 10
"""Writers that die in one round, each over an article of its own."""


@dataclass
class Repairs:
    """What has become of the changes whose writers have died."""

    kills: int = 0
    stale: int = 0
    """Articles that a reader got as they were before, once the writer was dead."""
    lasting: int = 0
    """Articles, or lists, that readers still got so at the end."""
    seconds: list[float] = field(default_factory=list)
    """From a writer's death until readers got its change, in the article and in the list."""


def environment(settings: Settings) -> dict[str, str]:
    """The variables of the processes that have these settings."""
    return os.environ | {
        "APP_ENV": Environment.TEST.value,
        "APP_VAR_DIR": str(settings.app_var_dir),
        "DATABASE_URL": settings.database_address.render_as_string(hide_password=False),
        "REDIS_URL": settings.redis_url or "",
        "LOG_FORMAT": "json",
        "WEB_RATE_LIMITS": "false",  # an author writes more in a minute here than people do
        # CPython 3.12 warns of a fork beside threads; the worker's parent has none of its own.
        "PYTHONWARNINGS": "default",
    }


def kill_writers(settings: Settings, rounds: int, step: Callable[[], object]) -> Repairs:
    """Kill writers after their commit, again and again, and read what they have written.

    Args:
        settings: Of a database with tables and accounts, and Redis.
        rounds: How often, with `ARTICLES` writers each.
        step: Called after each round.
    """
    reader, repairs = API(settings), Repairs()
    background: Background = reader.app.services[Background]
    background.start()
    try:
        for number in range(ARTICLES):
            reader.article(slug=f"tea-{number}", title="0")
        with _worker(settings), _writers(settings) as writers:
            for number in range(1, rounds + 1):
                _round(reader, writers, str(number), repairs)
                step()
    finally:
        background.stop()
        reader.close()
    return repairs


def prepare(settings: Settings) -> None:
    """Make the tables and accounts."""
    api = API(settings)
    Base.metadata.create_all(api.database.engine)
    api.fill()
    api.close()


def _round(reader: API, writers: subprocess.Popen[str], title: str, repairs: Repairs) -> None:
    _titles(reader)  # cached, in the process and in Redis
    died = {}
    for number in range(ARTICLES):
        died[f"tea-{number}"] = _kill(writers, f"tea-{number}", title)
        repairs.stale += _title(reader, f"tea-{number}") != title
    repairs.kills += len(died)
    deadline = time.monotonic() + DEADLINE
    while died and time.monotonic() < deadline:
        listed = _titles(reader)
        for slug in [slug for slug in died if _title(reader, slug) == listed[slug] == title]:
            repairs.seconds.append(time.monotonic() - died.pop(slug))
        time.sleep(0.02)
    repairs.lasting += len(died)


def _kill(writers: subprocess.Popen[str], slug: str, title: str) -> float:
    assert writers.stdin is not None
    assert writers.stdout is not None
    writers.stdin.write(f"{slug} {title}\n")
    writers.stdin.flush()
    assert writers.stdout.readline() == f"dead {slug}\n"
    return time.monotonic()


def _title(reader: API, slug: str) -> str:
    title: str = reader.call("GET", f"/articles/{slug}").get_json()["title"]
    return title


def _titles(reader: API) -> dict[str, str]:
    items = reader.call("GET", "/articles").get_json()["items"]
    return {item["slug"]: item["title"] for item in items}


@contextmanager
def _worker(settings: Settings) -> Iterator[None]:
    """A worker that runs what the outbox hands it."""
    settings.app_var_dir.mkdir(parents=True, exist_ok=True)
    log = settings.app_var_dir / "worker.log"
    arguments = ["celery", "-A", "app.worker", "worker", "--pool", "threads", "--concurrency", "2"]
    process = start_module(arguments, environment(settings), log)
    try:
        wait_until(lambda: "ready." in log.read_text(), "the worker's start")
        yield
    finally:
        process.kill()
        process.join()


@contextmanager
def _writers(settings: Settings) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.app.whole.crash_cache"],
        cwd=ROOT,
        env=environment(settings) | {"LOG_LEVEL": "ERROR"},  # its output is read
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()
