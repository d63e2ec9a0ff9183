"""The search engine that needs no server: tantivy, in a folder of its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby, islice
from pathlib import Path
from time import perf_counter

import tantivy

from strongback.search.exceptions import SearchUnavailable
from strongback.search.index import Document, Index, Key
from strongback.search.query import Hit, Query, Result, Stamp, Status, Suggestion, check_query
from strongback.search.tantivy.finder import Finder
from strongback.search.tantivy.folder import Generation, IndexFolder, explained
from strongback.search.tantivy.highlight import Marker
from strongback.search.tantivy.schema import build_schema, decode, decode_stamp, encode
from strongback.search.tantivy.typed import Word
from strongback.search.tantivy.word import is_run

SUGGESTIONS_READ = 3
"""Documents that are read for each suggestion, since several may have the same text."""


class TantivyEngine:
    """Indexes in folders below one, which is made when it is missing.

    Any process that sees the folder may read and write it, on one machine: locks and shared memory
    do not work across a network's file system. One process writes at a time, the others wait for
    it; readers wait for nobody.
    """

    name = "tantivy"

    def __init__(self, path: Path) -> None:
        self._path = path
        self._folders: dict[str, IndexFolder] = {}

    # Indexes

    def prepare(self, index: Index) -> list[str]:
        """Make the index if it is missing; everything but its structure counts at once."""
        folder = self._folder(index)
        with explained(folder.path):
            if folder.live():
                return []
        with folder.writing():
            if folder.live():
                return []
            folder.replace(folder.make(index))
        return [f"made index {index.name}"]

    def status(self, index: Index) -> Status:
        """Tell the state of the index."""
        folder = self._folder(index)
        if folder.is_suspect:
            return _to_build("it is damaged: a search could not read it")
        try:
            with explained(folder.path):
                is_building = folder.is_building
                if folder.live() is None:
                    return Status(exists=False, is_building=is_building)
                if not folder.is_current(index):
                    why = "it was built for another structure, or by another release"
                    return _to_build(why, is_building=is_building)
                generation, searcher = folder.read(index)
                documents = searcher.num_docs
                size = sum(file.stat().st_size for file in generation.path.iterdir())
        except SearchUnavailable as error:
            if not error.is_damage:
                raise
            return _to_build(f"it is damaged: {error.__cause__}")
        return Status(exists=True, documents=documents, size_bytes=size, is_building=is_building)

    def rebuild(self, index: Index, batches: Iterable[Sequence[Document]]) -> int:
        """Build a new index beside the old one, then replace the old one at once."""
        folder = self._folder(index)
        with folder.building(index) as generation:
            count = generation.fill(batches)
            with folder.writing():
                folder.replace(generation)
        return count

    # Documents

    def add(self, index: Index, documents: Sequence[Document]) -> None:
        """Add documents, each in place of the one with the same key."""
        schema = build_schema(index)
        latest: dict[Key, tantivy.Document] = {}
        for document in documents:
            latest[document[index.key]] = encode(index, schema, document)
        self._write(index, latest.values(), list(latest))

    def delete(self, index: Index, keys: Sequence[Key]) -> None:
        """Delete documents."""
        self._write(index, (), keys)

    def _write(
        self, index: Index, documents: Iterable[tantivy.Document], keys: Sequence[Key]
    ) -> None:
        if keys:
            folder = self._folder(index)
            with folder.writing():
                with explained(folder.path):
                    generation, _ = folder.read(index)
                generation.write(documents, keys)

    def stamps(self, index: Index) -> Iterator[Stamp]:
        """Tell key and version of every document."""
        with self._reading(index) as (_, searcher):
            limit = max(1, searcher.num_docs)
            hits = searcher.search(tantivy.Query.all_query(), limit=limit, count=False).hits
            found = [decode_stamp(index, searcher.doc(address)) for _, address in hits]
        return iter(found)

    # Searching

    def search(self, index: Index, query: Query) -> Result:
        """Find documents."""
        started = perf_counter()
        check_query(index, query)
        with self._reading(index) as (generation, searcher):
            found = Finder(searcher, generation.schema, index, query).run()
            documents = [decode(index, searcher.doc(address)) for address in found.addresses]
        marker = _marker(found.words)
        hits = [_hit(index, query, marker, document) for document in documents]
        took_ms = round((perf_counter() - started) * 1000, 3)
        return Result(hits, found.total, took_ms, found.facets)

    def suggest(self, index: Index, text: str, limit: int) -> list[Suggestion]:
        """Find texts of the attribute that the index suggests."""
        within, query = index.suggested, Query(text, page_size=limit * SUGGESTIONS_READ)
        with self._reading(index) as (generation, searcher):
            found = Finder(searcher, generation.schema, index, query, within).run()
            addresses = found.addresses if found.words else ()
            documents = [decode(index, searcher.doc(address)) for address in addresses]
        marker = _marker(found.words)
        by_text: dict[str, dict[str, object]] = {}
        for document in documents:
            by_text.setdefault(str(document[within.name]), document)
        return [
            Suggestion(text, marker.mark(text), index.show(document))
            for text, document in islice(by_text.items(), limit)
        ]

    def ping(self) -> None:
        """See that the folder can be read."""
        with explained(self._path, is_writing=True):
            self._path.mkdir(parents=True, exist_ok=True)
            list(self._path.iterdir())

    def close(self) -> None:
        """Close open files."""
        for folder in self._folders.values():
            folder.close()

    def _folder(self, index: Index) -> IndexFolder:
        return self._folders.setdefault(index.name, IndexFolder(self._path / index.name))

    @contextmanager
    def _reading(self, index: Index) -> Iterator[tuple[Generation, tantivy.Searcher]]:
        folder = self._folder(index)
        with explained(folder.path):
            yield folder.read(index)


def _to_build(why: str, *, is_building: bool = False) -> Status:
    return Status(exists=True, is_current=False, differences=(why,), is_building=is_building)


def _marker(words: Sequence[Word]) -> Marker:
    marked = {text for word in words for text in (*word.forms, *word.parts)}
    for phrase in (phrase for word in words for phrase in word.phrases):
        for is_of_run, group in groupby(phrase, is_run):
            found = list(group)
            marked.update(["".join(found)] if is_of_run else found)
    beginnings = frozenset(word.text for word in words if word.is_begun)
    runs = frozenset(filter(is_run, marked))
    return Marker(frozenset(marked - runs), beginnings, runs)


def _hit(index: Index, query: Query, marker: Marker, document: dict[str, object]) -> Hit:
    highlight = {}
    for name in query.highlight:
        value = document.get(index[name].name)
        text = ", ".join(map(str, value)) if isinstance(value, list) else str(value or "")
        if text:
            highlight[name] = marker.mark(text, query.crop)
    return Hit(index.show(document), highlight)
