"""`python -m benchmarks growth`: what lists cost at a thousand articles, and at a million.

A list is to cost the same however long it is. Each size has a database of its own, filled by
plain inserts, in which each list is asked again and again without a cache; beside the times stands
how the back end says that it reads.
"""

from __future__ import annotations

import tempfile
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

import click
from sqlalchemy import create_engine, insert, make_url, text

from app.article.model import Article, ArticleTag, Tag
from app.article.schema import ArticleQuery
from app.article.service import ArticleService
from app.article.tag import top_tags
from app.comment.model import Comment
from app.comment.service import CommentService
from app.core.config import load_settings
from app.main import create_app
from app.user.model import User
from benchmarks.http.report import machine
from strongback.config import Environment
from strongback.database import Database
from strongback.migration.runner import upgrade
from strongback.notification import Inbox
from strongback.notification.notification_model import Notification
from strongback.notification.notification_schema import NotificationQuery
from strongback.outbox import MessageState, Outbox, OutboxMessage
from strongback.paging import encode_cursor
from strongback.schema import PageQuery
from strongback.services import Services
from tests.support.plan import analyze, explain

FEW, MANY, QUICK = 1_000, 1_000_000, 20_000
CALLS, SECONDS = 60, 3.0
"""Of each list, whichever comes first."""
NOW = datetime(2026, 1, 1, tzinfo=UTC)
AUTHORS = ["prolific", *(f"author-{number}" for number in range(20))]
FILTERS: dict[str, dict[str, str]] = {
    "": {},
    " by language": {"language": "en"},
    " by tag": {"tag": "common"},
    " by author": {"author": "prolific"},
}
Reads = dict[str, Callable[[], object]]


@click.command("growth")
@click.option("--quick", is_flag=True, help=f"{QUICK:,} articles: a look, not a measurement.")
@click.option("--rows", default=MANY, show_default=True, help="Articles and comments.")
@click.option("--database", "url", help="A server's address. Default: a SQLite file.")
@click.option("--plans", is_flag=True, help="Show how the back end reads each list.")
def command(*, quick: bool, rows: int, url: str | None, plans: bool) -> None:
    """Measure lists at 1,000 articles and at many: what costs more the more there are.

    Two databases are made at the address, by an account that may do that, and dropped again.
    """
    click.echo(f"time: {datetime.now(UTC).isoformat(timespec='seconds')}\nmachine: {machine()}")
    few = _measure(url, FEW, plans=False)
    many = _measure(url, QUICK if quick else rows, plans=plans)
    click.echo(f"\n{'ms: minimum, median':32}{FEW:>16,}{rows if not quick else QUICK:>16,}  ratio")
    for name, (least, middle) in many.items():
        before = few[name]
        figures = f"{before[0]:8.1f}{before[1]:8.1f}{least:8.1f}{middle:8.1f}"
        click.echo(f"{name:32}{figures}{least / before[0]:7.1f}")


def _measure(url: str | None, rows: int, *, plans: bool) -> dict[str, tuple[float, float]]:
    with tempfile.TemporaryDirectory() as folder, _address(url, folder) as address:
        settings = load_settings(
            _env_file=None,
            app_env=Environment.TEST,
            app_var_dir=Path(folder),
            database_url=address,
        )
        app = create_app(settings)
        upgrade(app)
        database: Database = app.services[Database]
        began = time.perf_counter()
        _fill(database, rows)
        click.echo(f"{rows:,} rows in {time.perf_counter() - began:.0f} s")
        reads = _reads(database, app.services, rows)
        if plans:
            _show_plans(database, reads)
        times = {name: _time(database, read) for name, read in reads.items()}
        database.close()
        return times


@contextmanager
def _address(url: str | None, folder: str) -> Iterator[str]:
    """A database of this benchmark's own."""
    if url is None:
        yield f"sqlite:///{folder}/growth.db"
        return
    name = f"growth_{uuid.uuid4().hex[:8]}"
    engine = create_engine(make_url(url).set(database=None), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
        try:
            yield make_url(url).set(database=name).render_as_string(hide_password=False)
        finally:
            connection.execute(text(f"DROP DATABASE {name}"))
    engine.dispose()


def _fill(database: Database, rows: int) -> None:
    moments = {"created_at": NOW, "updated_at": NOW}
    names = (f"tag-{number}" for number in range(min(rows, 10_000)))
    with database.migration_engine(60).connect() as connection:
        for model, values in (
            (User, ({"username": name, "roles": [], **moments} for name in AUTHORS)),
            (Tag, ({"name": name, "articles": len(name)} for name in names)),
            (Article, _articles(rows)),
            (ArticleTag, _tags(rows)),
            (Comment, _comments(rows)),
            (OutboxMessage, _dead(rows)),
            (Notification, _notifications(rows // 10)),
        ):
            left = iter(values)
            while chunk := list(islice(left, 4_000)):
                connection.execute(insert(model), chunk)
                connection.commit()
    analyze(database.engine, "article", "article_tag", "comment", "sb_outbox", "sb_notification")


def _articles(rows: int) -> Iterator[dict[str, Any]]:
    for number in range(1, rows + 1):
        moment = NOW - timedelta(seconds=20 * (rows - number))
        yield {
            "id": number,
            "slug": f"article-{number}",
            "title": f"Article {number}",
            "summary": "A sentence or two of it.",
            "body": "Some *words*. " * 15,
            "html": "<p>Some <em>words</em>.</p>" * 10,
            "language": "en" if number % 2 else "zh",
            "author": "prolific" if number % 4 < 2 else AUTHORS[1 + number % 20],
            "comments": rows if number == 1 else 0,
            "views": number % 997 if number % 10 == 0 else 0,
            "version": 1,
            "listed": number % 100 != 7,
            "published_at": None if number % 100 == 7 else moment,
            "created_at": moment,
            "updated_at": moment,
        }


def _tags(rows: int) -> Iterator[dict[str, Any]]:
    carried = ("language", "author", "listed", "published_at", "updated_at", "views")
    for row in _articles(rows):
        copies = {name: row[name] for name in carried}
        for name in (f"tag-{row['id'] % 100}", "common")[: 1 + row["id"] % 2]:
            yield {"article_id": row["id"], "name": name, **copies}


def _comments(rows: int) -> Iterator[dict[str, Any]]:
    for number in range(1, rows + 1):
        author = AUTHORS[number % len(AUTHORS)]
        yield {"id": number, "article_id": 1, "author": author, "body": "Well said."} | {
            "created_at": NOW,
            "updated_at": NOW,
        }


def _dead(rows: int) -> Iterator[dict[str, Any]]:
    for number in range(rows):
        moments = {"created_at": NOW, "due_at": NOW, "updated_at": NOW}
        yield {
            "consumer": "probe",
            "key": str(number),
            "payload": {},
            "state": MessageState.DEAD,
            "available_at": None,
            "attempts": 3,
            "sendings": 0,
            **moments,
        }


def _notifications(rows: int) -> Iterator[dict[str, Any]]:
    for number in range(rows):
        yield {
            "recipient": 1,
            "kind": "article:published",
            "subject": f"article:{number}",
            "actor": AUTHORS[1],
            "data": {"slug": f"article-{number}", "title": "An article"},
            "created_at": NOW,
        }


def _reads(database: Database, services: Services, rows: int) -> Reads:
    """Each list by its name."""
    articles, comments = services[ArticleService], services[CommentService]
    outbox, inbox = services[Outbox], services[Inbox]
    middle = encode_cursor(NOW - timedelta(seconds=10 * rows), rows // 2)
    asked: Iterable[tuple[str, dict[str, str]]] = (
        ("first part", {"cursor": ""}),
        ("deep part", {"cursor": middle}),
        ("deep among equal views", {"cursor": encode_cursor(0, rows // 2), "sort": "-views"}),
        ("page 1 and total", {}),
    )
    reads: Reads = {}
    for name, query in asked:
        for along, filters in FILTERS.items():
            wanted = ArticleQuery.model_validate(query | filters)
            reads[name + along] = lambda wanted=wanted: articles.list(wanted)  # type: ignore[misc]  # a default binds it
    deep = PageQuery(cursor=encode_cursor(rows // 2, rows // 2))
    reads["comments, deep part"] = lambda: comments.list("article-1", deep)
    reads["top tags, not cached"] = lambda: top_tags(database.session, 100)
    reads["state of the outbox"] = outbox.status
    reads["unread notifications"] = lambda: inbox.list(1, NotificationQuery(unread=True))
    reads["number of unread ones"] = lambda: inbox.unread(1)
    return reads


def _show_plans(database: Database, reads: Reads) -> None:
    for name, read in reads.items():
        with database.scope():
            lines = explain(database.engine, read)
        click.echo("\n".join([name, *(f"    {line}" for line in lines)]))


def _time(database: Database, read: Callable[[], object]) -> tuple[float, float]:
    """Minimum and median of a call, in milliseconds."""
    times: list[float] = []
    end = time.perf_counter() + SECONDS
    while len(times) < CALLS and (len(times) < 3 or time.perf_counter() < end):
        began = time.perf_counter()
        with database.scope():
            read()
        times.append((time.perf_counter() - began) * 1000)
    return min(times), median(times)
