"""Interface of a search engine, which `tantivy` and `meilisearch` implement."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from strongback.search.index import Document, Index, Key
from strongback.search.query import Query, Result, Stamp, Status, Suggestion


class Engine(Protocol):
    """Stores and finds documents of several indexes. Safe to share between threads.

    Every method raises SearchUnavailable where the engine does not answer or the index was never
    made. Written documents are found as soon as the method has returned.
    """

    name: str
    """The engine's name, for people."""

    def prepare(self, index: Index) -> list[str]:
        """Make the index if it is missing, and bring its settings up to the declaration.

        Changes that need a rebuild are left to it (`Status.is_current`). Returns those that were
        made, in words.
        """
        ...

    def status(self, index: Index) -> Status:
        """Tell the state of the index, in a time that does not grow with its size."""
        ...

    def add(self, index: Index, documents: Sequence[Document]) -> None:
        """Add documents, each in place of the one with the same key."""
        ...

    def delete(self, index: Index, keys: Sequence[Key]) -> None:
        """Delete documents; unknown keys are ignored."""
        ...

    def rebuild(self, index: Index, batches: Iterable[Sequence[Document]]) -> int:
        """Build a new index beside the old one, then replace the old one at once.

        Until then searches find the old one, whole. If the batches raise, the old index stays. What
        is added or deleted meanwhile goes to the old one: `Search.reindex` repairs the new one.
        Returns the number of documents.
        """
        ...

    def search(self, index: Index, query: Query) -> Result:
        """Find documents."""
        ...

    def suggest(self, index: Index, text: str, limit: int) -> list[Suggestion]:
        """Find texts of the attribute that the index `suggests`, best first, each once."""
        ...

    def stamps(self, index: Index) -> Iterator[Stamp]:
        """Return key and version of every document, in any order."""
        ...

    def ping(self) -> None:
        """Check that the engine answers, for the readiness probe."""
        ...

    def close(self) -> None:
        """Close connections and files. A later use opens new ones."""
        ...
