"""Writers killed between their commit and the removal of what it has made outdated."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.core.config import Settings
from benchmarks.http.report import Aim
from strongback.config import Environment, LogLevel
from strongback.testing.mariadb import run_mariadb
from tests.app.whole.cache_crash import ARTICLES, kill_writers, prepare

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from strongback.testing.redis import RedisServer

ROUND = 3.0
"""Seconds of a round, or a little more: what the outbox waits for."""
BOUND = 10.0
"""Seconds after which readers have to get what a dead process has written; on a machine with
nothing else to do it takes four."""


def run(redis: RedisServer, folder: Path, seconds: float) -> Iterator[tuple[str, list[Aim]]]:
    """Kill ten writers a round; 200 in a minute's worth of rounds."""
    rounds = max(1, round(seconds / ROUND))
    with run_mariadb(folder) as database:
        settings = Settings(
            _env_file=None,
            app_env=Environment.TEST,
            app_var_dir=folder / "var",
            database_url=database.url,
            redis_url=redis.url,
            log_level=LogLevel.ERROR,
            web_rate_limits=False,
        )
        prepare(settings)
        found = kill_writers(settings, rounds, lambda: None)
    times = sorted(found.seconds) or [float("inf")]
    told = (
        f"{found.kills} writers killed after their commit, {ARTICLES} a round; {found.stale}"
        f" articles were then read as before; read anew after {times[len(times) // 2]:.1f} s"
        f" (median), {times[-1]:.1f} s (longest)"
    )
    yield told, [
        Aim("killed writers: changes that were never read", found.lasting, 0, ""),
        Aim("killed writers: longest until a change was read", times[-1], BOUND, " s"),
    ]
