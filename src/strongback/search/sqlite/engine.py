"""The search engine that needs nothing: SQLite, in a file of its own."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from time import perf_counter
from typing import Any

from strongback.log.setup import get_logger
from strongback.search.exceptions import SearchMisuse, SearchUnavailable
from strongback.search.index import Document, Index, Key, Kind
from strongback.search.query import Hit, Query, Result, Stamp, Status, Suggestion
from strongback.search.sqlite.expression import Group
from strongback.search.sqlite.file import SearchFile
from strongback.search.sqlite.finder import Finder, Found
from strongback.search.sqlite.generation import (
    Generation,
    Prepared,
    Preparer,
    decode,
    structure_of,
)
from strongback.search.sqlite.highlight import Marker
from strongback.search.sqlite.selection import Selection
from strongback.search.sqlite.tally import Tallies
from strongback.search.sqlite.word import is_run

log = get_logger(__name__)

Change = Callable[[sqlite3.Connection, Generation], None]
STAMPS_AT_ONCE = 1_000
SUGGESTIONS_READ = 3
"""Documents that are read for each suggestion, since several may have the same text."""


class SQLiteEngine:
    """Indexes in one file.

    Any process that sees the file may read and write it, on one machine: SQLite's shared memory
    and locks do not work across a network's file system. One process writes at a time, the others
    wait for it; readers wait for nobody.

    Args:
        path: The file; it is made when it is missing.
    """

    name = "sqlite"

    def __init__(self, path: Path) -> None:
        self._file = SearchFile(path)
        self._written: dict[int, Generation] = {}
        """Those that this process has written to, which know what they hold."""
        self._tallies = Tallies()

    # Indexes

    def prepare(self, index: Index) -> list[str]:
        """Make the index if it is missing; everything but its structure counts at once."""
        with self._file.read() as db:
            if _row_of(db, index, is_live=True):
                return []
        with self._file.write() as db:
            if _row_of(db, index, is_live=True):
                return []
            _create(db, index, is_live=True)
        return [f"made index {index.name}"]

    def status(self, index: Index) -> Status:
        """Tell how the index is."""
        return self._told(index, most=-1)

    def glance(self, index: Index, most: int) -> Status:
        """Tell what can be told of the index without reading all of it."""
        if self._file.is_suspect:
            return _damaged("a search could not read it")
        return self._told(index, most)

    def _told(self, index: Index, most: int) -> Status:
        try:
            return self._status(index, most)
        except SearchUnavailable as error:
            if not error.is_damage:
                raise
            return _damaged(str(error.__cause__))

    def _status(self, index: Index, most: int) -> Status:
        with self._file.read() as db:
            building = _row_of(db, index, is_live=False) is not None
            row = _row_of(db, index, is_live=True)
            if row is None:
                return Status(exists=False, is_building=building)
            number, structure = row
            generation = Generation(number, index)
            count = generation.count(db, most)
            differences = []
            if structure != structure_of(index):
                differences.append("it was built for another structure")
            else:
                generation.visit(db)
                if most < 0 and (orphans := generation.orphans(db)):
                    differences.append(f"{orphans} rows belong to no document")
        return Status(
            exists=True,
            documents=count,
            is_current=not differences,
            differences=tuple(differences),
            size_bytes=self._file.size(),
            is_building=building,
        )

    def rebuild(self, index: Index, batches: Iterable[Sequence[Document]]) -> int:
        """Build the index anew beside the old one, then put it in its place at once."""
        self._file.discard_if_damaged()
        generation = self._begin(index)
        try:
            self._fill_all(generation, batches)
            self._merge(generation)
            return self._swap(generation)
        except BaseException:
            self._give_up(generation)
            raise

    def _begin(self, index: Index) -> Generation:
        with self._file.write() as db:
            if row := _row_of(db, index, is_live=False):
                # Left behind by a process that has died; one that still builds notices.
                Generation(row[0], index).drop(db)
                db.execute("DELETE FROM generation WHERE id = ?", (row[0],))
            return _create(db, index, is_live=False)

    def _fill_all(self, generation: Generation, batches: Iterable[Sequence[Document]]) -> None:
        """Cut a batch into words while SQLite, without Python's lock, writes the one before."""
        preparer = Preparer(generation.index)
        with ThreadPoolExecutor(1, "search-build") as writer:
            written: Future[None] | None = None
            for batch in batches:
                prepared = [preparer.prepare(document) for document in batch]
                if written:
                    written.result()
                written = writer.submit(self._fill, generation, prepared)
            if written:
                written.result()

    def _fill(self, generation: Generation, documents: Sequence[Prepared]) -> None:
        with self._file.write() as db:
            _require_building(db, generation)
            generation.add(db, generation.untouched(db, documents))

    def _merge(self, generation: Generation) -> None:
        is_first, goes_on = True, True
        while goes_on:
            with self._file.write() as db:
                _require_building(db, generation)
                goes_on = generation.merge(db, is_first=is_first)
            is_first = False

    def _swap(self, generation: Generation) -> int:
        index = generation.index
        with self._file.write() as db:
            _require_building(db, generation)
            old = _row_of(db, index, is_live=True)
            db.execute("DELETE FROM generation WHERE name = ? AND is_live", (index.name,))
            db.execute("UPDATE generation SET is_live = 1 WHERE id = ?", (generation.number,))
            generation.settle(db)
            count = generation.count(db)
        if old:
            with self._file.write() as db:
                Generation(old[0], index).drop(db)
        return count

    def _give_up(self, generation: Generation) -> None:
        with self._file.write() as db:
            if _is_building(db, generation):
                generation.drop(db)
                db.execute("DELETE FROM generation WHERE id = ?", (generation.number,))

    # Documents

    def add(self, index: Index, documents: Sequence[Document]) -> None:
        """Add documents, each in place of the one with the same key."""
        preparer = Preparer(index)
        prepared = [preparer.prepare(document) for document in documents]
        keys = [document.key for document in prepared]
        self._write(index, keys, lambda db, generation: generation.add(db, prepared))

    def delete(self, index: Index, keys: Sequence[Key]) -> None:
        """Delete documents."""
        self._write(index, keys, lambda db, generation: generation.delete(db, keys))

    def _write(self, index: Index, keys: Sequence[Key], change: Change) -> None:
        if not keys:
            return
        try:
            with self._file.write() as db:
                generations = self._fitting(db, index)
                for generation in generations:
                    change(db, generation)
                    if _is_building(db, generation):
                        generation.touch(db, keys)
        except BaseException:
            self._written.clear()
            raise
        self._written |= {generation.number: generation for generation in generations}

    def _fitting(self, db: sqlite3.Connection, index: Index) -> list[Generation]:
        """The live generation and the one that is being built, if they fit the declaration."""
        rows = (_row_of(db, index, is_live=is_live) for is_live in (True, False))
        structure = structure_of(index)
        numbers = [row[0] for row in rows if row and row[1] == structure]
        if not numbers:
            raise _outdated(index)
        return [self._written.get(number) or Generation(number, index) for number in numbers]

    def stamps(self, index: Index) -> Iterator[Stamp]:
        """Tell key and version of every document that can be found."""
        version = f"$.{index.version}" if index.version else "$.none"
        query = (
            "SELECT id, key, json_extract(content, ?) FROM g{0}_document d WHERE id > ?"
            " AND EXISTS (SELECT 1 FROM g{0}_row r WHERE r.id = d.id)"
            " AND EXISTS (SELECT 1 FROM g{0}_text_docsize t WHERE t.id = d.id)"
            " ORDER BY id LIMIT ?"
        )
        last = 0
        while True:
            with self._file.read() as db:
                number = _live(db, index).number
                rows = db.execute(query.format(number), (version, last, STAMPS_AT_ONCE)).fetchall()
            if not rows:
                return
            yield from ((key, _read_stamp(index, value)) for _, key, value in rows)
            last = rows[-1][0]

    # Searching

    def search(self, index: Index, query: Query) -> Result:
        """Find documents."""
        started = perf_counter()
        _check(index, query)
        with self._file.read() as db:
            generation = _live(db, index)
            tallies = self._tallies if query.facets else None
            selection = Selection(db, generation, query.filter, tallies)
            found = Finder(selection, query).run()
            documents = _read(db, generation, found.numbers)
        marker = _marker(found.groups)
        hits = [_hit(index, query, marker, document) for document in documents]
        took_ms = round((perf_counter() - started) * 1000, 3)
        return Result(hits, found.total, took_ms, found.facets)

    def suggest(self, index: Index, text: str, limit: int) -> list[Suggestion]:
        """Find texts of the attribute that the index suggests."""
        if index.suggests is None:
            raise SearchMisuse(f"index {index.name} suggests nothing")
        query = Query(text, page_size=limit * SUGGESTIONS_READ)
        with self._file.read() as db:
            generation = _live(db, index)
            selection = Selection(db, generation, None)
            found = Finder(selection, query, within=index[index.suggests]).run()
            documents = _read(db, generation, found.numbers) if found.groups else []
        return _suggestions(index, found, documents)[:limit]

    def ping(self) -> None:
        """See that the file can be read."""
        with self._file.read() as db:
            db.execute("SELECT count(*) FROM generation").fetchone()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


# Generations


def _damaged(reason: str) -> Status:
    return Status(exists=True, is_current=False, differences=(f"the file is damaged: {reason}",))


def _row_of(db: sqlite3.Connection, index: Index, *, is_live: bool) -> tuple[int, str] | None:
    query = "SELECT id, structure FROM generation WHERE name = ? AND is_live = ?"
    row: tuple[int, str] | None = db.execute(query, (index.name, is_live)).fetchone()
    return row


def _create(db: sqlite3.Connection, index: Index, *, is_live: bool) -> Generation:
    query = "INSERT INTO generation (name, is_live, structure) VALUES (?, ?, ?) RETURNING id"
    row = db.execute(query, (index.name, is_live, structure_of(index))).fetchone()
    generation = Generation(row[0], index)
    generation.create(db, is_bulk=not is_live)
    return generation


def _live(db: sqlite3.Connection, index: Index) -> Generation:
    row = _row_of(db, index, is_live=True)
    if row is None or row[1] != structure_of(index):
        raise _outdated(index)
    return Generation(row[0], index)


def _outdated(index: Index) -> SearchUnavailable:
    log.error("search_index_outdated", index=index.name, remedy="flask search reindex")
    return SearchUnavailable()


def _is_building(db: sqlite3.Connection, generation: Generation) -> bool:
    row = _row_of(db, generation.index, is_live=False)
    return row is not None and row[0] == generation.number


def _require_building(db: sqlite3.Connection, generation: Generation) -> None:
    if not _is_building(db, generation):
        log.error("search_rebuild_overtaken", index=generation.index.name)
        raise SearchUnavailable("Another process has begun to build this index.")


# Answers


def _check(index: Index, query: Query) -> None:
    for order in query.sort:
        if not index[order.attribute].sortable:
            raise SearchMisuse(f"index {index.name} is not sorted by {order.attribute}")
    for name in query.facets:
        if not index[name].facet:
            raise SearchMisuse(f"index {index.name} does not count by {name}")


def _read(
    db: sqlite3.Connection, generation: Generation, numbers: Sequence[int]
) -> list[dict[str, object]]:
    query = f"SELECT content FROM {generation.document} WHERE id = ?"
    rows = [db.execute(query, (number,)).fetchone() for number in numbers]
    if not all(rows):
        log.error(
            "search_index_damaged", index=generation.index.name, remedy="flask search reindex"
        )
    return [decode(generation.index, row[0]) for row in rows if row]


def _marker(groups: Sequence[Group]) -> Marker:
    words = {form for g in groups for form in g.forms}
    words |= {word for g in groups for phrase in g.phrases for word in phrase}
    beginnings = frozenset(beginning for g in groups for beginning in g.beginnings)
    runs = frozenset(run for g in groups for run in (*g.runs, *g.pieces))
    runs |= {word for word in words if is_run(word)}
    return Marker(frozenset(words - runs), beginnings - runs, runs)


def _hit(index: Index, query: Query, marker: Marker, document: dict[str, object]) -> Hit:
    highlight = {}
    for name in query.highlight:
        value = document.get(index[name].name)
        text = ", ".join(map(str, value)) if isinstance(value, list) else str(value or "")
        if text:
            highlight[name] = marker.mark(text, query.crop)
    return Hit(_shown(index, document), highlight)


def _shown(index: Index, document: dict[str, object]) -> dict[str, object]:
    return {a.name: document[a.name] for a in index.attributes if a.shown}


def _read_stamp(index: Index, value: Any) -> Any:  # noqa: ANN401  of the version's kind
    is_moment = index.version and index[index.version].kind is Kind.MOMENT
    return datetime.fromisoformat(value) if is_moment and value is not None else value


def _suggestions(
    index: Index, found: Found, documents: Sequence[dict[str, object]]
) -> list[Suggestion]:
    marker = _marker(found.groups)
    by_text = {str(document[str(index.suggests)]): document for document in reversed(documents)}
    ordered = dict.fromkeys(str(document[str(index.suggests)]) for document in documents)
    return [Suggestion(text, marker.mark(text), _shown(index, by_text[text])) for text in ordered]
