"""The embedded engine, and what people search a MySQL with, behind one interface."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Protocol

from sqlalchemy import Connection, create_engine, text

from app.article.index import ARTICLE
from benchmarks.search.collection import Document
from strongback.search import Query
from strongback.search.tantivy import TantivyEngine

BATCH = 1_000
TABLE = "strongback_search_benchmark"
_WORD = re.compile(r"[a-z0-9]+|[\u4e00-\u9fff]+")


class Contender(Protocol):
    """Finds the slugs of documents."""

    title: str

    def fill(self, documents: Iterable[Document]) -> None: ...

    def find(self, typed: str, size: int) -> list[str]: ...


def in_batches(documents: Iterable[Document]) -> Iterator[list[Document]]:
    rest = iter(documents)
    while batch := list(islice(rest, BATCH)):
        yield batch


class Tantivy:
    """Ours."""

    title = "Strongback on tantivy"

    def __init__(self, folder: Path) -> None:
        self.engine = TantivyEngine(folder / "search")

    def fill(self, documents: Iterable[Document]) -> None:
        self.engine.rebuild(ARTICLE, in_batches(documents))

    def find(self, typed: str, size: int) -> list[str]:
        query = Query(typed, page_size=size)
        return [hit.document["slug"] for hit in self.engine.search(ARTICLE, query).hits]


class MySQL:
    """A table with full-text indexes: of n-grams where the server can, which MariaDB cannot."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        version = str(connection.scalar(text("SELECT version()")))
        self.has_ngrams = "mariadb" not in version.lower()
        self.server = "MySQL" if self.has_ngrams else "MariaDB"
        self.server += f" {version.partition('-')[0]}"

    def fill(self, documents: Iterable[Document]) -> None:
        parser = " WITH PARSER ngram" if self.has_ngrams else ""
        self._execute(f"DROP TABLE IF EXISTS {TABLE}")
        self._execute(
            f"CREATE TABLE {TABLE} (slug VARCHAR(190) PRIMARY KEY, title VARCHAR(500) NOT NULL,"
            f" body MEDIUMTEXT NOT NULL, FULLTEXT KEY t (title){parser},"
            f" FULLTEXT KEY b (title, body){parser})"
            " ENGINE=InnoDB DEFAULT CHARSET=utf8mb4"
        )
        insert = text(f"INSERT INTO {TABLE} VALUES (:slug, :title, :body)")  # noqa: S608  our table
        for batch in in_batches(documents):
            self.connection.execute(insert, batch)
            self.connection.commit()

    def drop(self) -> None:
        self._execute(f"DROP TABLE IF EXISTS {TABLE}")

    def rows(self, statement: str, **values: object) -> list[str]:
        return [row[0] for row in self.connection.execute(text(statement), values)]

    def _execute(self, statement: str) -> None:
        self.connection.execute(text(statement))
        self.connection.commit()


class Like:
    """`LIKE '%word%'` for each word, in title or text; titles first."""

    def __init__(self, mysql: MySQL) -> None:
        self.mysql = mysql
        self.title = f"{mysql.server}, LIKE"

    def fill(self, documents: Iterable[Document]) -> None:
        """The table is there already."""

    def find(self, typed: str, size: int) -> list[str]:
        words = {f"w{n}": f"%{word}%" for n, word in enumerate(_WORD.findall(typed.lower()))}
        if not words:
            return []
        where = " AND ".join(f"(title LIKE :{name} OR body LIKE :{name})" for name in words)
        score = " + ".join(f"(title LIKE :{name})" for name in words)
        order = f"ORDER BY {score} DESC, slug LIMIT :size"
        statement = f"SELECT slug FROM {TABLE} WHERE {where} {order}"  # noqa: S608  our table
        return self.mysql.rows(statement, size=size, **words)


class FullText:
    """`MATCH … AGAINST` in natural language, a match in the title counting ten times."""

    def __init__(self, mysql: MySQL) -> None:
        self.mysql = mysql
        parser = "ngram" if mysql.has_ngrams else "no ngram parser"
        self.title = f"{mysql.server}, FULLTEXT ({parser})"

    def fill(self, documents: Iterable[Document]) -> None:
        self.mysql.fill(documents)

    def find(self, typed: str, size: int) -> list[str]:
        score = "10 * MATCH (title) AGAINST (:q) + MATCH (title, body) AGAINST (:q)"
        where = "WHERE MATCH (title, body) AGAINST (:q) ORDER BY score DESC, slug LIMIT :size"
        statement = f"SELECT slug, {score} AS score FROM {TABLE} {where}"  # noqa: S608  our table
        return self.mysql.rows(statement, q=typed, size=size)


@contextmanager
def mysql_at(url: str) -> Iterator[MySQL]:
    """A MySQL, and in its database for a while the benchmark's table."""
    engine = create_engine(url)
    with engine.connect() as connection:
        mysql = MySQL(connection)
        try:
            yield mysql
        finally:
            mysql.drop()
    engine.dispose()
