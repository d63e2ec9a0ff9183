"""A writer that dies between its commit and the removal leaves no outdated value behind."""

from __future__ import annotations

from app.core.config import Settings
from strongback.database import Base, Database
from strongback.testing import empty
from strongback.testing.mariadb import MariaDB
from strongback.testing.redis import RedisServer
from tests.app.whole.cache_crash import ARTICLES, kill_writers, prepare

SECONDS = 30
"""Less than any lifetime in Redis; on a machine at rest it takes four."""


def test_what_a_killed_writer_has_committed_is_read_within_seconds(
    settings: Settings, mariadb_server: MariaDB, redis_server: RedisServer
) -> None:
    ours = {"database_url": mariadb_server.url, "redis_url": redis_server.url}
    settings = settings.model_copy(update=ours)
    database = Database(settings)
    empty(database, Base.metadata)
    database.close()
    prepare(settings)

    repairs = kill_writers(settings, 1, lambda: None)

    assert (repairs.kills, repairs.lasting) == (ARTICLES, 0)
    assert repairs.stale > 0, "nobody died between the two"
    assert max(repairs.seconds) < SECONDS
