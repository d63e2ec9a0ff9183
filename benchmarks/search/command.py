"""`python -m benchmarks search`."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from benchmarks.http.report import Aim, machine
from benchmarks.search import latency, page, quality, report
from benchmarks.search.collection import (
    LISTS,
    Document,
    Expected,
    generate,
    read_articles,
    read_queries,
    short_words,
)
from benchmarks.search.contender import Contender, FullText, Like, MySQL, SQLite, mysql_at
from benchmarks.search.latency import Times
from benchmarks.search.quality import Quality
from strongback.testing.mariadb import find_mariadb, given_mysql, run_mariadb

PARTS = ("quality", "latency")
DOCS = Path(__file__).resolve().parents[2] / "docs"
COUNT, QUICK_COUNT = 20_000, 4_000


@click.command("search")
@click.option("--quick", is_flag=True, help="Fewer documents and searches: a look.")
@click.option("--part", "parts", type=click.Choice(PARTS), multiple=True, help="Only this part.")
@click.option(
    "--articles",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    default=DOCS,
    help="Folder of Markdown whose documents the queries look for. Default: docs/, by its titles.",
)
@click.option(
    "--list",
    "queries",
    type=click.Choice(LISTS),
    default=LISTS[0],
    help="The queries that the engine was developed with, or those that were written afterwards.",
)
@click.option("--misses", is_flag=True, help="List what was not found.")
@click.option("--docs", "to_docs", is_flag=True, help="Write the figures into docs/benchmark.")
@click.option("--json", "file", type=click.Path(path_type=Path), help="Write all figures there.")
def command(  # noqa: PLR0913  click hands each option over by name
    *,
    quick: bool,
    parts: tuple[str, ...],
    articles: Path,
    queries: str,
    misses: bool,
    to_docs: bool,
    file: Path | None,
) -> None:
    """Compare the SQLite engine with MySQL's LIKE and FULLTEXT: quality and latency.

    MySQL is the one of DATABASE_URL, or of TEST_MYSQL_URL, in whose database a table is made and
    dropped again. Without it a MariaDB is started if one is installed; MariaDB has no ngram parser,
    so its FULLTEXT finds no Chinese words. Without either, only the SQLite engine is measured.
    """
    parts = parts or PARTS
    click.echo(f"time: {datetime.now(UTC).isoformat(timespec='seconds')}\nmachine: {machine()}")
    found: dict[str, Any] = {}
    measured: list[Quality] = []
    times: dict[str, Times] = {}
    aims: list[Aim] = []
    with tempfile.TemporaryDirectory(prefix="strongback-bench-") as name, _mysql(Path(name)) as sql:
        if "quality" in parts:
            documents = read_articles(articles)
            asked = read_queries(documents, queries)
            measured = _quality(Path(name), sql, documents, asked, misses=misses)
            found["quality"] = [asdict(one) for one in measured]
            aims += report.quality_aims(measured[0])
        if "latency" in parts:
            documents = generate(QUICK_COUNT if quick else COUNT)
            searches = 200 if quick else 1_000
            times, more = _latency(Path(name), sql, documents, found, searches=searches)
            aims += more
    click.echo("\nThe aims:\n" + "\n".join(map(str, aims)))
    if to_docs:
        count = QUICK_COUNT if quick else COUNT
        page.write(DOCS / "benchmark", measured, times, count, aims)
    if file:
        found["aims"] = [asdict(aim) | {"is_reached": aim.is_reached} for aim in aims]
        file.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")


@contextmanager
def _mysql(folder: Path) -> Iterator[MySQL | None]:
    url = os.environ.get("DATABASE_URL", "")
    if not url.startswith("mysql"):
        url = given.url if (given := given_mysql()) else ""
    if url:
        with mysql_at(url) as mysql:
            yield mysql
    elif find_mariadb():
        place = folder / "mariadb"
        place.mkdir()
        with run_mariadb(place) as server:
            server.execute("SET GLOBAL innodb_buffer_pool_size = 512 * 1024 * 1024")
            with mysql_at(server.url) as mysql:
                yield mysql
    else:
        click.echo(
            "MySQL: neither DATABASE_URL, TEST_MYSQL_URL nor an installed MariaDB to compare with"
        )
        yield None


def _contenders(folder: Path, mysql: MySQL | None) -> tuple[SQLite, list[Contender]]:
    ours = SQLite(folder)
    # FULLTEXT makes the table that LIKE uses.
    return ours, [ours, *((FullText(mysql), Like(mysql)) if mysql else ())]


def _quality(
    folder: Path,
    mysql: MySQL | None,
    documents: list[Document],
    queries: list[Expected],
    *,
    misses: bool,
) -> list[Quality]:
    words = short_words(documents)
    ours, contenders = _contenders(folder, mysql)
    click.echo(f"\nquality: {len(documents)} documents, {len(queries)} queries")
    results = []
    steps = len(queries) * len(contenders)
    with click.progressbar(length=steps, label="asking", file=sys.stderr) as bar:
        for contender in contenders:
            contender.fill(documents)
            result = quality.measure(contender, queries, words, lambda: bar.update(1))
            results.append(result)
    ours.engine.close()
    click.echo(report.quality(results))
    if misses:
        click.echo(f"not found by {results[0].title}:\n{report.misses(results[0])}")
    return results


def _latency(
    folder: Path,
    mysql: MySQL | None,
    documents: list[Document],
    found: dict[str, Any],
    *,
    searches: int,
) -> tuple[dict[str, Times], list[Aim]]:
    place = folder / "latency"
    place.mkdir()
    ours, contenders = _contenders(place, mysql)
    size = sum(len(document["body"].encode()) for document in documents) / len(documents)
    click.echo(f"\nlatency: {len(documents):,} generated documents of {size:.0f} bytes on average")
    texts = latency.questions(documents, searches)
    times: dict[str, Times] = {}
    rates: dict[str, float] = {}
    with click.progressbar(length=len(contenders) + 3, label="searching", file=sys.stderr) as bar:
        for contender in contenders:
            started, began = time.perf_counter(), time.process_time()
            contender.fill(documents)
            rates[contender.title] = len(documents) / (time.perf_counter() - started)
            if contender is ours:
                rates["  by its own CPU"] = len(documents) / (time.process_time() - began)
            # A scan of every row takes so long that a tenth of the searches tells enough.
            asked = texts[: searches // 10] if isinstance(contender, Like) else texts
            times[contender.title] = latency.time_contender(contender, asked)
            bar.update(1)
        times["  with marks and facets"] = latency.time_as_api(ours.engine, texts)
        bar.update(1)
        typed = latency.beginnings(documents, searches)
        times["  as you type"] = latency.time_typing(ours.engine, typed)
        bar.update(1)
        path = place / "search.db"
        rebuild = latency.search_while_rebuilding(path, len(documents), texts)
        times["  during a rebuild"] = rebuild.searches
        bar.update(1)
    ours.engine.close()
    click.echo(report.latency(times))
    written = {title: rate for title, rate in rates.items() if "LIKE" not in title}
    click.echo("documents indexed a second: " + _rates(written))
    found["latency"] = {title: asdict(one) for title, one in times.items()}
    found["documents_per_second"] = written
    searching, typing = times[ours.title], times["  as you type"]
    return times, report.latency_aims(searching, typing, rates[ours.title], rebuild)


def _rates(rates: dict[str, float]) -> str:
    return ", ".join(f"{title} {rate:,.0f}" for title, rate in rates.items())
