"""One built state of an index: its tables, and what is written to them.

g1_document   key and content of each document, by number
g1_row        what is filtered, sorted and counted, one narrow row for each document
g1_value      the values of lists, for filters
g1_text       FTS5: the words of each searched attribute, all characters without spaces, and
              those of the suggested attribute
g1_term       every word that was ever in it
g1_typo       FTS5: the words by what is left of them without one or two letters
g1_touched    while it is built: documents that others have written meanwhile
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from strongback.search.exceptions import SearchMisuse
from strongback.search.index import Attribute, Document, Index, Key, Kind
from strongback.search.sqlite.vocabulary import Vocabulary
from strongback.search.sqlite.word import split
from strongback.search.value import check_document

FORMAT = 3
"""Counts the changes of these tables and of how words are cut: another one means: build anew."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
PARTS = "parts"
"""The column of single characters."""
SUGGESTED = "suggested"
"""The column of those in the attribute that is suggested: a title may be of words unknown to any
dictionary, or be looked for by its middle."""
_MERGED = 200  # pages at once: some milliseconds during which others cannot write
_SQL_TYPES = {Kind.TEXT: "TEXT", Kind.NUMBER: "REAL"}


@dataclass(frozen=True, slots=True)
class Prepared:
    """A document, cut into words before anybody waits for the file."""

    key: Key
    content: str
    row: tuple[Any, ...]
    values: list[tuple[str, Any]]
    text: list[str]
    """Words of each searched attribute joined by spaces, then two columns of characters."""


class Generation:
    """The tables of one built state.

    Args:
        number: Its own.
        index: What it was built for; the caller has compared `structure_of`.
    """

    def __init__(self, number: int, index: Index) -> None:
        self.index = index
        self.number = number
        self.document = f"g{number}_document"
        self.row = f"g{number}_row"
        self.value = f"g{number}_value"
        self.text = f"g{number}_text"
        self.touched = f"g{number}_touched"
        self.vocabulary = Vocabulary(number)
        self.searched = tuple(a for a in index.attributes if a.weight)
        least = min(a.weight for a in self.searched)
        self.heavy = tuple(a for a in self.searched if a.weight > least)
        """What is looked at for ranking: all but the text itself."""
        self.kept = tuple(a for a in index.attributes if is_kept(a))

    # Tables

    def create(self, db: sqlite3.Connection, *, is_bulk: bool = False) -> None:
        """Make the tables, empty.

        Args:
            db: A writing transaction.
            is_bulk: Leave the order of words to `merge`, which is twice as fast.
        """
        facets = [f"o_{a.name} TEXT" for a in self.kept if a.facet]
        scalars = [f"f_{a.name} {_SQL_TYPES.get(a.kind, 'INTEGER')}" for a in self.scalars]
        columns = ", ".join(["id INTEGER PRIMARY KEY", *scalars, *facets])
        words = ", ".join(self._columns)
        db.execute(
            f"CREATE TABLE {self.document}"
            " (id INTEGER PRIMARY KEY, key NOT NULL UNIQUE, content TEXT NOT NULL)"
        )
        db.execute(f"CREATE TABLE {self.row} ({columns})")
        db.execute(
            f"CREATE TABLE {self.value} (id INTEGER, attribute TEXT NOT NULL, value NOT NULL,"
            " PRIMARY KEY (id, attribute, value)) WITHOUT ROWID"
        )
        db.execute(f"CREATE VIRTUAL TABLE {self.text} USING fts5({words}, tokenize = 'ascii')")
        db.execute(f"CREATE TABLE {self.touched} (key PRIMARY KEY) WITHOUT ROWID")
        self.vocabulary.create(db, self.text)
        if is_bulk:
            db.execute(f"INSERT INTO {self.text} ({self.text}, rank) VALUES ('automerge', 0)")

    def drop(self, db: sqlite3.Connection) -> None:
        """Remove the tables."""
        self.vocabulary.drop(db)
        for table in self._tables:
            db.execute(f"DROP TABLE IF EXISTS {table}")

    def visit(self, db: sqlite3.Connection) -> None:
        """Fail if a table is not there, as a search would that needs it."""
        for table in (*self._tables, *self.vocabulary.tables):
            db.execute(f"SELECT 1 FROM {table} LIMIT 0")

    def merge(self, db: sqlite3.Connection, *, is_first: bool) -> bool:
        """Put some of the words in order; tells whether there is more to do."""
        before = db.total_changes
        pages = -_MERGED if is_first else _MERGED
        db.execute(f"INSERT INTO {self.text} ({self.text}, rank) VALUES ('merge', ?)", (pages,))
        return db.total_changes - before > 1

    def settle(self, db: sqlite3.Connection) -> None:
        """End the building: from now on every write keeps the words in order."""
        db.execute(f"INSERT INTO {self.text} ({self.text}, rank) VALUES ('automerge', 4)")
        db.execute(f"DELETE FROM {self.touched}")

    # Documents

    @property
    def scalars(self) -> tuple[Attribute, ...]:
        """What has one value in each row."""
        return tuple(a for a in self.kept if not a.many)

    def add(self, db: sqlite3.Connection, documents: Sequence[Prepared]) -> None:
        """Write documents, each in place of the one with its key."""
        latest = {document.key: document for document in documents}
        self.delete(db, list(latest))
        first = 1 + (db.execute(f"SELECT max(id) FROM {self.document}").fetchone()[0] or 0)
        numbered = list(enumerate(latest.values(), first))
        _insert(db, self.document, ((i, d.key, d.content) for i, d in numbered), 3)
        _insert(db, self.row, ((i, *d.row) for i, d in numbered), 1 + self._width)
        _insert(db, self.value, ((i, a, v) for i, d in numbered for a, v in d.values), 3)
        columns = ", ".join(["rowid", *self._columns])
        marks = ", ".join("?" * (1 + len(self._columns)))
        db.executemany(
            f"INSERT INTO {self.text} ({columns}) VALUES ({marks})",
            ((i, *d.text) for i, d in numbered),
        )
        self.vocabulary.add(db, (part for d in latest.values() for part in d.text[:-2]))

    def delete(self, db: sqlite3.Connection, keys: Sequence[Key]) -> None:
        """Delete the documents of these keys, as far as they are there."""
        query = f"SELECT id FROM {self.document} WHERE key IN (SELECT value FROM json_each(?))"
        found = db.execute(query, (json.dumps(list(keys)),)).fetchall()
        for table, column in (
            (self.document, "id"),
            (self.row, "id"),
            (self.value, "id"),
            (self.text, "rowid"),
        ):
            db.executemany(f"DELETE FROM {table} WHERE {column} = ?", found)

    def touch(self, db: sqlite3.Connection, keys: Iterable[Key]) -> None:
        """Note that these documents are newer than what the building goes on to read."""
        db.executemany(f"INSERT OR IGNORE INTO {self.touched} VALUES (?)", ((k,) for k in keys))

    def untouched(self, db: sqlite3.Connection, documents: Sequence[Prepared]) -> list[Prepared]:
        """Those of the documents that nobody else has written."""
        keys = json.dumps([document.key for document in documents])
        query = f"SELECT key FROM {self.touched} WHERE key IN (SELECT value FROM json_each(?))"
        newer = {key for (key,) in db.execute(query, (keys,))}
        return [document for document in documents if document.key not in newer]

    def count(self, db: sqlite3.Connection, most: int = -1) -> int:
        """How many documents there are, counted no further than to `most`."""
        query = f"SELECT count(*) FROM (SELECT 1 FROM {self.document} LIMIT ?)"
        return int(db.execute(query, (most,)).fetchone()[0])

    def orphans(self, db: sqlite3.Connection) -> int:
        """How many rows are of no document, as nobody but a stranger to this code leaves them."""
        tables = (self.row, f"{self.text}_docsize")
        counts = (
            f"(SELECT count(*) FROM {table} WHERE id NOT IN (SELECT id FROM {self.document}))"
            for table in tables
        )
        return int(db.execute(f"SELECT {' + '.join(counts)}").fetchone()[0])

    @property
    def _tables(self) -> list[str]:
        return [self.text, self.touched, self.value, self.row, self.document]

    @property
    def _columns(self) -> list[str]:
        return [*(f"a_{a.name}" for a in self.searched), PARTS, SUGGESTED]

    @property
    def _width(self) -> int:
        return len(self.scalars) + len([a for a in self.kept if a.facet])


def _insert(
    db: sqlite3.Connection, table: str, rows: Iterable[tuple[Any, ...]], width: int
) -> None:
    marks = ", ".join("?" * width)
    db.executemany(f"INSERT OR IGNORE INTO {table} VALUES ({marks})", rows)


# Preparing


def is_kept(attribute: Attribute) -> bool:
    """Whether the attribute has a place beside the document's content."""
    return attribute.filterable or attribute.facet or attribute.sortable


def structure_of(index: Index) -> str:
    """What of a declaration decides on the tables; a text to be compared."""
    attributes = [
        (a.name, a.kind, a.many, bool(a.weight), is_kept(a), a.facet) for a in index.attributes
    ]
    breakers = [order.attribute for order in index.tie_breakers]
    return json.dumps([FORMAT, index.key, index.version, index.suggests, breakers, attributes])


class Preparer:
    """Cuts documents into words and values; what the declaration says is looked up once.

    Args:
        index: What the documents are of.
    """

    def __init__(self, index: Index) -> None:
        self._index = index
        self._searched = [a for a in index.attributes if a.weight]
        kept = [a for a in index.attributes if is_kept(a)]
        self._scalars = [a for a in kept if not a.many]
        self._lists = [a for a in kept if a.many]
        self._facets = [a for a in kept if a.facet]

    def prepare(self, document: Document) -> Prepared:
        """Cut one.

        Raises:
            SearchMisuse: It has no key, or a value is not what the index declares.
        """
        check_document(self._index, document)
        get = document.get
        scalars = [stored(a, get(a.name)) for a in self._scalars]
        facets = [_original(get(a.name)) for a in self._facets]
        values = [(a.name, stored(a, value)) for a in self._lists for value in get(a.name) or ()]
        row = (*scalars, *facets)
        content = _text(_ENCODER.encode(document))
        return Prepared(document[self._index.key], content, row, values, self._cut(document))

    def _cut(self, document: Document) -> list[str]:
        texts, all_runs, suggested = [], [], []
        for attribute in self._searched:
            value = document.get(attribute.name) or ""
            words, runs = split(value if isinstance(value, str) else "\n".join(value))
            texts.append(" ".join(words))
            all_runs += runs
            if attribute.name == self._index.suggests:
                suggested = runs
        return [*texts, *(" ".join(map(" ".join, some)) for some in (all_runs, suggested))]


def stored(attribute: Attribute, value: Any) -> Any:  # noqa: ANN401  of the attribute's kind
    """A value as the tables have it: text without case, moments in microseconds."""
    if value is None:
        return None
    if attribute.kind is Kind.TEXT:
        return _text(value.casefold())
    if attribute.kind is Kind.MOMENT:
        return (value - EPOCH) // timedelta(microseconds=1)
    return value


def _text(text: str) -> str:
    """The text, as far as it can be encoded."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _original(value: Any) -> str | None:  # noqa: ANN401  of the attribute's kind
    if value is None:
        return None
    return _text(_ENCODER.encode(value) if isinstance(value, list | tuple) else str(value))


def _encode(value: object) -> object:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    raise SearchMisuse(f"a document cannot hold a {type(value).__name__}")


_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=_encode)


def decode(index: Index, content: str) -> dict[str, Any]:
    """A document as it was given."""
    document: dict[str, Any] = json.loads(content)
    for attribute in index.attributes:
        value = document.setdefault(attribute.name, None)
        if value is not None and attribute.kind is Kind.MOMENT:
            many = attribute.many
            document[attribute.name] = (
                [datetime.fromisoformat(item) for item in value]
                if many
                else datetime.fromisoformat(value)
            )
    return document
