"""Writes that the database troubles: whole or not at all, and never locked out."""

from __future__ import annotations

import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Connection, NullPool, create_engine, event, func, select
from sqlalchemy.exc import DBAPIError

from app.article.model import Article, ArticleLike
from app.comment.model import Comment
from app.core.config import Settings
from strongback.database import Base
from strongback.idempotency import IdempotencyKey
from strongback.testing import empty
from strongback.testing.mariadb import MariaDB
from tests.support.api import API
from tests.support.thread import run_together

WRITERS = 20


# Deadlocks and lock waits on MariaDB


@pytest.fixture
def mysql(settings: Settings, mariadb_server: MariaDB) -> Iterator[API]:
    """The application on MariaDB, with an article and a table that makes saboteurs heavy."""
    api = API(
        settings.model_copy(update={"database_url": mariadb_server.url, "web_rate_limits": False})
    )
    empty(api.database, Base.metadata)
    api.fill()
    api.article(title="T0", slug="tea", tags=["t0"])
    ballast = f"{mariadb_server.address.database}.ballast"
    mariadb_server.execute(f"DROP TABLE IF EXISTS {ballast}")
    mariadb_server.execute(f"CREATE TABLE {ballast} (id INT) ENGINE=InnoDB")
    yield api
    mariadb_server.execute(f"DROP TABLE {ballast}")
    api.close()


@pytest.fixture
def rounds(is_long: bool) -> int:
    """Times four tests: 200 injected deadlocks and lock waits in the long form."""
    return 50 if is_long else 10


@contextmanager
def connected(api: API) -> Iterator[Connection]:
    """A connection beside the application's, as another program would have it."""
    engine = create_engine(api.database.engine.url, poolclass=NullPool)
    with engine.connect() as connection:
        yield connection


def comment(api: API, number: int) -> Any:
    """A comment, its article's counter, its idempotency key: three rows or none."""
    headers = {"Idempotency-Key": f"key-{number}"}
    return api.post("/articles/tea/comments", {"body": str(number)}, by="eve", headers=headers)


def retitle(api: API, number: int) -> Any:
    """A title and a tag that belong together."""
    change = {"title": f"T{number}", "tags": [f"t{number}"]}
    return api.call("PATCH", "/articles/tea", by="ada", json=change, headers={"If-Match": "*"})


WRITES: dict[str, tuple[Callable[[API, int], Any], str, str]] = {
    # the write, what it does last, and a statement that gets in the way of that
    "comment": (
        comment,
        "INSERT INTO comment",
        "UPDATE user SET disabled = NOT disabled WHERE username = 'eve'",
    ),
    "retitle": (
        retitle,
        "INSERT INTO article_tag",
        "UPDATE article_tag SET name = CONCAT(name, '')",
    ),
}


def require_whole(api: API) -> None:
    """Fail if anything is there without what belongs to it."""
    with api.database.scope():
        session = api.database.session
        comments = session.scalar(select(func.count()).select_from(Comment))
        keys = session.scalar(
            select(func.count()).where(IdempotencyKey.operation.contains("comments"))
        )
        article = session.scalars(select(Article).where(Article.slug == "tea")).one()
        assert (article.comments, keys) == (comments, comments)
        assert [article.title.lower()] == list(article.tags)


@pytest.mark.parametrize("kind", WRITES)
def test_deadlock_leaves_nothing_half_written(mysql, kind, rounds):
    """A second connection holds what the write needs last, and then wants what it has first."""
    write, last, obstacle = WRITES[kind]
    reached = threading.Event()

    @event.listens_for(mysql.database.engine, "before_cursor_execute")
    def note(_connection, _cursor, statement: str, *_: object) -> None:
        if statement.startswith(last):
            reached.set()

    def sabotage(saboteur: Connection) -> None:
        reached.wait(10)
        time.sleep(0.01)  # the write is now waiting for the obstacle
        with suppress(DBAPIError):  # the server may give up this side
            saboteur.exec_driver_sql("UPDATE article SET language = language")
        saboteur.rollback()

    statuses: Counter[int] = Counter()
    with connected(mysql) as saboteur:
        for number in range(1, rounds + 1):
            reached.clear()
            # The server gives up whichever of the two has changed less.
            saboteur.exec_driver_sql("INSERT INTO ballast VALUES (1)" + ", (1)" * 20)
            saboteur.exec_driver_sql(obstacle)
            response, _ = run_together(partial(write, mysql, number), partial(sabotage, saboteur))
            statuses[response.status_code] += 1
            require_whole(mysql)
    assert mysql.database.retries >= rounds * 0.9, "too few deadlocks hit the write"
    assert set(statuses) <= {200, 201}


@pytest.mark.parametrize("kind", WRITES)
def test_lock_wait_leaves_nothing_half_written(mysql, kind, rounds):
    """A second connection holds what the write needs last, for longer than it waits, or not."""
    write, _, obstacle = WRITES[kind]
    event.listen(mysql.database.engine, "connect", _give_up_at_once)
    mysql.database.close()  # the next connections are new
    rng = random.Random(3)
    done = 0
    with connected(mysql) as saboteur:
        # MySQL waits for a second at least, MariaDB gives up at once where it is told to.
        is_mariadb = saboteur.dialect.is_mariadb  # type: ignore[attr-defined]  # of this dialect
        least, rounds = (0, rounds) if is_mariadb else (1, rounds // 5)
        for number in range(1, rounds + 1):
            saboteur.exec_driver_sql(obstacle)
            seconds = rng.choice([0, least + 0.05, least + 0.3])
            release = threading.Timer(seconds, saboteur.rollback)
            release.start()
            response = write(mysql, number)
            release.join()
            assert response.status_code in {200, 201, 409, 503}
            done += response.status_code < 300
            require_whole(mysql)
    assert mysql.database.retries >= rounds * 0.5, "too few lock waits hit the write"
    assert done >= rounds * 0.5


def _give_up_at_once(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    least = 0 if "MariaDB" in connection.get_server_info() else 1
    cursor.execute(f"SET SESSION innodb_lock_wait_timeout = {least}")
    cursor.close()


# SQLite


def test_twenty_writers_on_sqlite_are_never_locked_out(settings, is_long):
    seconds = 60 if is_long else 5
    update = {"database_pool_size": WRITERS, "database_timeout": 5, "web_rate_limits": False}
    api = API(settings.model_copy(update=update))
    empty(api.database, Base.metadata)
    api.fill()
    api.article(slug="tea")
    deadline = time.monotonic() + seconds

    def work(writer: int) -> Counter[int]:
        rng, statuses = random.Random(writer), Counter[int]()
        while time.monotonic() < deadline:
            statuses[rng.choice(actions)(api, writer, rng).status_code] += 1
        return statuses

    actions = [_comment, _like, _unlike, _retitle, _create]
    writers = [partial(work, number) for number in range(WRITERS)]
    total = sum(run_together(*writers, timeout=seconds + 50), Counter[int]())
    with api.database.scope():
        session = api.database.session
        article = session.scalars(select(Article).where(Article.slug == "tea")).one()
        assert article.comments == session.scalar(select(func.count()).select_from(Comment))
        assert article.likes == session.scalar(select(func.count()).select_from(ArticleLike))
    api.close()
    assert set(total) <= {200, 201, 204}, total
    sys.stdout.write(f"{sum(total.values()) / seconds:.0f} writes a second: {dict(total)}\n")


def _comment(api: API, writer: int, rng: random.Random) -> Any:
    headers = {"Idempotency-Key": f"{writer}-{rng.random()}"}
    return api.post("/articles/tea/comments", {"body": "b"}, by="eve", headers=headers)


def _like(api: API, writer: int, rng: random.Random) -> Any:
    return api.call("PUT", "/articles/tea/like", by=["admin", "ada", "bob", "eve"][writer % 4])


def _unlike(api: API, writer: int, rng: random.Random) -> Any:
    return api.call("DELETE", "/articles/tea/like", by=["admin", "ada", "bob", "eve"][writer % 4])


def _retitle(api: API, writer: int, rng: random.Random) -> Any:
    change, headers = {"title": f"T{rng.random()}", "tags": [str(writer)]}, {"If-Match": "*"}
    return api.call("PATCH", "/articles/tea", by="ada", json=change, headers=headers)


def _create(api: API, writer: int, rng: random.Random) -> Any:
    return api.post("/articles", {"title": "Same", "body": "Leaves.\n\n" * 20}, by="bob")
