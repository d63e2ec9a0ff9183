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

from app.article.index import ARTICLE
from benchmarks.http.report import Aim, machine
from benchmarks.search import latency, page, quality, report
from benchmarks.search.collection import (
    LISTS,
    Articles,
    Expected,
    common_words,
    read_articles,
    read_queries,
    short_words,
    vary,
)
from benchmarks.search.contender import Contender, FullText, Like, MySQL, Tantivy, mysql_at
from benchmarks.search.latency import Times
from benchmarks.search.quality import Quality
from strongback.testing.mariadb import find_mariadb, given_mysql, run_mariadb

PARTS = ("quality", "latency")
DOCS = Path(__file__).resolve().parents[2] / "docs"
COUNT, QUICK_COUNT = 20_000, 2_000
COMMON = 40
"""Words that most documents have, which are searched for."""


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
@click.option("--count", default=COUNT, help="Documents whose searches are timed.")
@click.option("--misses", is_flag=True, help="List what was not found.")
@click.option("--docs", "to_docs", is_flag=True, help="Write the figures into docs/benchmark.")
@click.option("--json", "file", type=click.Path(path_type=Path), help="Write all figures there.")
def command(  # noqa: PLR0913  click hands each option over by name
    *,
    quick: bool,
    parts: tuple[str, ...],
    articles: Path,
    queries: str,
    count: int,
    misses: bool,
    to_docs: bool,
    file: Path | None,
) -> None:
    """Compare the embedded engine with MySQL's LIKE and FULLTEXT: quality and latency.

    MySQL is the one of DATABASE_URL, or of TEST_MYSQL_URL, in whose database a table is made and
    dropped again. Without it a MariaDB is started if one is installed; MariaDB has no ngram parser,
    so its FULLTEXT finds no Chinese words. Without either, only the embedded engine is measured.
    """
    parts = parts or PARTS
    click.echo(f"time: {datetime.now(UTC).isoformat(timespec='seconds')}\nmachine: {machine()}")
    found: dict[str, Any] = {}
    measured: list[Quality] = []
    times: dict[str, Times] = {}
    aims: list[Aim] = []
    count = QUICK_COUNT if quick else count
    collection = read_articles(articles)
    with tempfile.TemporaryDirectory(prefix="strongback-bench-") as name, _mysql(Path(name)) as sql:
        if "quality" in parts:
            asked = read_queries(collection.documents, queries)
            measured = _quality(Path(name), sql, collection, asked, misses=misses)
            found["quality"] = [asdict(one) for one in measured]
            aims += report.quality_aims(measured[0])
        if "latency" in parts:
            searches = 200 if quick else 1_000
            times, more = _latency(Path(name), sql, collection, found, count, searches)
            aims += more
    click.echo("\nThe aims:\n" + "\n".join(map(str, aims)))
    if to_docs:
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


def _contenders(folder: Path, mysql: MySQL | None) -> tuple[Tantivy, list[Contender]]:
    ours = Tantivy(folder)
    # FULLTEXT makes the table that LIKE uses.
    return ours, [ours, *((FullText(mysql), Like(mysql)) if mysql else ())]


def _quality(
    folder: Path,
    mysql: MySQL | None,
    articles: Articles,
    queries: list[Expected],
    *,
    misses: bool,
) -> list[Quality]:
    documents = articles.documents
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


def _latency(  # noqa: PLR0913, PLR0917  one for each thing that is measured
    folder: Path,
    mysql: MySQL | None,
    articles: Articles,
    found: dict[str, Any],
    count: int,
    searches: int,
) -> tuple[dict[str, Times], list[Aim]]:
    place = folder / "latency"
    place.mkdir()
    ours, contenders = _contenders(place, mysql)
    some = list(vary(articles.documents, min(count, COUNT)))
    texts, typed = latency.questions(some, searches), latency.beginnings(some, searches)
    stored = articles.bytes / len(articles.documents) * count
    click.echo(f"\nlatency: {count:,} documents, {stored / 1e6:,.0f} MB of Markdown and HTML")
    times: dict[str, Times] = {}
    rates: dict[str, float] = {}
    with click.progressbar(length=len(contenders) + 4, label="searching", file=sys.stderr) as bar:
        for contender in contenders:
            started, began = time.perf_counter(), time.process_time()
            contender.fill(vary(articles.documents, count))
            rates[contender.title] = count / (time.perf_counter() - started)
            if contender is ours:
                rates["  by its own CPU"] = count / (time.process_time() - began)
            # A scan of every row takes so long that a tenth of the searches tells enough.
            asked = texts[: searches // 10] if isinstance(contender, Like) else texts
            times[contender.title] = latency.time_contender(contender, asked)
            bar.update(1)
        size = ours.engine.status(ARTICLE).size_bytes or 0
        common = common_words(some, COMMON) * (searches // COMMON)
        times["  common words, as the API answers"] = latency.time_as_api(ours.engine, common)
        bar.update(1)
        times["  as you type, as the API answers"] = latency.time_as_api(ours.engine, typed)
        bar.update(1)
        times["  suggestions"] = latency.time_suggesting(ours.engine, typed)
        alone = latency.time_alone(ours.engine, texts)
        bar.update(1)
        again = vary(articles.documents, count, seed=8)
        rebuild = latency.search_while_rebuilding(ours.engine, again, count, texts)
        times["  two searches"], times["  the same during a rebuild"] = alone, rebuild.searches
        bar.update(1)
    ours.engine.close()
    click.echo(report.latency(times))
    written = {title: rate for title, rate in rates.items() if "LIKE" not in title}
    click.echo(f"documents indexed a second: {_rates(written)}; index {size / 1e6:,.0f} MB")
    found["latency"] = {title: asdict(one) for title, one in times.items()}
    found["documents_per_second"] = written
    return times, report.latency_aims(times, rates[ours.title], size / stored, rebuild)


def _rates(rates: dict[str, float]) -> str:
    return ", ".join(f"{title} {rate:,.0f}" for title, rate in rates.items())
