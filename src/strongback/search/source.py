"""Keeps indexes in step with the database: single documents, all, or the differences."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from strongback.collision import path_of
from strongback.exceptions import ConfigurationError
from strongback.log.setup import get_logger
from strongback.search.engine import Engine
from strongback.search.exceptions import SearchMisuse, SearchUnavailable
from strongback.search.index import Document, Index, Key
from strongback.search.query import Query, Result, Stamp, Suggestion

log = get_logger(__name__)

BATCH = 500
"""Documents that are read and written at once."""
FEW = 1000
"""Documents below which an index may be one that a search has made and nothing has filled. Larger
ones are compared with the database once an hour, since counting many rows is expensive."""
PATIENCE = 1.0
"""Seconds to wait for another thread that makes an index."""
Progress = Callable[[int], object]
"""Called with the number of documents that have been done since the last call."""


class Source(Protocol):
    """Supplies an index with documents; a slice has one for each of its indexes."""

    @property
    def index(self) -> Index:
        """The index."""
        ...

    def count(self) -> int:
        """Approximate number of documents."""
        ...

    def batches(self, size: int) -> Iterator[Sequence[Document]]:
        """Read all documents, a batch at a time."""
        ...

    def stamps(self) -> Iterator[Stamp]:
        """Return key and version of all documents, in any order."""
        ...

    def read(self, keys: Sequence[Key]) -> list[Document]:
        """Read these documents, as far as they are to be found now."""
        ...


@dataclass(frozen=True, slots=True)
class Difference:
    """Differences between an index and the database."""

    missing: tuple[Key, ...] = ()
    outdated: tuple[Key, ...] = ()
    surplus: tuple[Key, ...] = ()

    @property
    def keys(self) -> tuple[Key, ...]:
        """All of them."""
        return self.missing + self.outdated + self.surplus

    def __len__(self) -> int:
        return len(self.keys)


class Need(StrEnum):
    """Work that an index needs."""

    NOTHING = "nothing"
    SETTINGS = "settings"
    """Its settings have to be sent again."""
    BUILD = "build"


class Search:
    """An engine and everything that is searched by it."""

    def __init__(self, engine: Engine, sources: Iterable[Source] = ()) -> None:
        self.engine = engine
        self.sources: dict[str, Source] = {}
        self._listeners: dict[str, Callable[[], object]] = {}
        for source in sources:
            self.add(source)
        self._prepared: set[str] = set()
        self._lock = threading.Lock()

    def add(self, source: Source, changed: Callable[[], object] = lambda: None) -> None:
        """Add an index.

        Args:
            source: Source of the index.
            changed: Called after the index has changed, since earlier responses are outdated.

        Raises:
            ConfigurationError: Another source has an index of this name.
        """
        name = source.index.name
        if name in self.sources:
            first, second = (path_of(type(each)) for each in (self.sources[name], source))
            raise ConfigurationError(
                f"index {name}: {first} has it, and {second} claims it too; rename one"
            )
        self.sources[name], self._listeners[name] = source, changed

    def close(self) -> None:
        """Close what the engine has opened."""
        self.engine.close()

    def find(self, index: Index, query: Query) -> Result:
        """Find documents; see `Engine.search`."""
        self.ensure(index)
        return self.engine.search(index, query)

    def suggest(self, index: Index, text: str, limit: int) -> list[Suggestion]:
        """Find texts that somebody may be about to type; see `Engine.suggest`."""
        self.ensure(index)
        return self.engine.suggest(index, text, limit)

    def ensure(self, index: Index) -> None:
        """Make the index if it is missing, and update its settings, once a process."""
        # A thread that does not get the lock in time asks the engine, which tells it.
        if index.name in self._prepared or not self._lock.acquire(timeout=PATIENCE):
            return
        try:
            if index.name not in self._prepared:
                for change in self.engine.prepare(index):
                    log.info("search_prepared", index=index.name, change=change)
                self._prepared.add(index.name)
        finally:
            self._lock.release()

    # Keeping up

    def update(self, name: str, keys: Iterable[Key]) -> None:
        """Read documents again from the source, and delete those that are gone.

        Idempotent, and correct whatever has happened since the keys were noted; they may repeat.
        """
        source = self.source(name)
        self.ensure(source.index)
        distinct = list(dict.fromkeys(keys))
        for start in range(0, len(distinct), BATCH):
            batch = distinct[start : start + BATCH]
            documents = source.read(batch)
            found = {document[source.index.key] for document in documents}
            try:
                self.engine.add(source.index, documents)
                self.engine.delete(source.index, [key for key in batch if key not in found])
            finally:
                self._listeners[name]()

    def reindex(self, name: str, progress: Progress = lambda _: None) -> int:
        """Build a new index, and return the number of its documents.

        Searches find the old one until it is complete.
        """
        source = self.source(name)

        def batches() -> Iterator[Sequence[Document]]:
            for batch in source.batches(BATCH):
                yield batch
                progress(len(batch))

        count = self.engine.rebuild(source.index, batches())
        self._prepared.add(name)
        self._listeners[name]()
        # Documents that changed during the build have been updated in the old index alone.
        repaired = self.repair(name)
        log.info("search_reindexed", index=name, documents=count, repaired=len(repaired))
        return count

    def check(self, name: str) -> Difference:
        """Compare an index with the database, by keys and versions."""
        source = self.source(name)
        indexed = dict(self.engine.stamps(source.index))
        missing, outdated = [], []
        for key, version in source.stamps():
            if key not in indexed:
                missing.append(key)
            elif indexed.pop(key) != version:
                outdated.append(key)
        return Difference(tuple(missing), tuple(outdated), tuple(indexed))

    def repair(self, name: str, progress: Progress = lambda _: None) -> Difference:
        """Repair the differences between an index and the database, and return them."""
        difference = self.check(name)
        for start in range(0, len(difference), BATCH):
            keys = difference.keys[start : start + BATCH]
            self.update(name, keys)
            progress(len(keys))
        return difference

    def inspect(self, name: str) -> Difference | None:
        """Compare an index with the database; None where it needs a rebuild."""
        status = self.engine.status(self.source(name).index)
        if not (status.exists and status.is_current):
            return None
        try:
            return self.check(name)
        except SearchUnavailable as error:
            if not error.is_damage:
                raise
            return None

    def need(self, name: str) -> Need:
        """Tell what work an index needs now; cheap enough for every few seconds.

        It needs a build if it is missing, damaged or not as declared, or if a search has made it
        and nothing has filled it. While the engine does not answer it needs nothing.
        """
        source = self.source(name)
        try:
            status = self.engine.status(source.index)
        except SearchUnavailable:
            return Need.NOTHING
        if not (status.exists and status.is_current):
            return Need.BUILD
        if status.documents < FEW and status.documents * 2 < source.count():
            return Need.BUILD
        return Need.SETTINGS if status.differences else Need.NOTHING

    def send_settings(self, name: str) -> None:
        """Restore settings that somebody has changed in the engine."""
        for change in self.engine.prepare(self.source(name).index):
            log.warning("search_settings_sent", index=name, change=change)

    def maintain(self, name: str) -> None:
        """Rebuild an index that is not as declared, or else repair it."""
        if self.inspect(name) is None:
            self.reindex(name)
            return
        # Somebody may have changed settings since this process has sent them.
        self.send_settings(name)
        if difference := self.repair(name):
            log.warning("search_repaired", index=name, documents=len(difference))

    def source(self, name: str) -> Source:
        """The source of an index.

        Raises:
            SearchMisuse: There is no index of this name.
        """
        if name not in self.sources:
            raise SearchMisuse(f"no index is called {name}; there are: {', '.join(self.sources)}")
        return self.sources[name]
