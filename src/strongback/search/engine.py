"""What a search engine does; `tantivy` and `meilisearch` do it alike."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from strongback.search.index import Document, Index, Key
from strongback.search.query import Query, Result, Stamp, Status, Suggestion


class Engine(Protocol):
    """Keeps documents of several indexes and finds them. Safe to share between threads.

    Every method raises SearchUnavailable where the engine does not answer or the index was never
    made. What was written is found as soon as the method has returned.
    """

    name: str
    """The engine's name, for people."""

    def prepare(self, index: Index) -> list[str]:
        """Make the index if it is missing, and bring its settings up to the declaration.

        What cannot be changed without building the index anew stays (`Status.is_current`).

        Returns:
            What was made or changed, in words; nothing where all was well.
        """
        ...

    def status(self, index: Index) -> Status:
        """Tell how the index is, changing nothing, and as fast however large it is."""
        ...

    def add(self, index: Index, documents: Sequence[Document]) -> None:
        """Add documents, each in place of the one with the same key."""
        ...

    def delete(self, index: Index, keys: Sequence[Key]) -> None:
        """Delete documents; a key that is not there is none of anybody's business."""
        ...

    def rebuild(self, index: Index, batches: Iterable[Sequence[Document]]) -> int:
        """Build the index anew beside the old one, then put it in its place at once.

        Until then searches find the old one, whole. If the batches raise, the old index stays. What
        is added or deleted meanwhile goes to the old one: `Search.reindex` repairs the new one.

        Returns:
            How many documents the new index has.
        """
        ...

    def search(self, index: Index, query: Query) -> Result:
        """Find documents."""
        ...

    def suggest(self, index: Index, text: str, limit: int) -> list[Suggestion]:
        """Find texts of the attribute that the index `suggests`, best first, each once."""
        ...

    def stamps(self, index: Index) -> Iterator[Stamp]:
        """Tell key and version of every document, in any order."""
        ...

    def ping(self) -> None:
        """Ask for a sign of life, for the readiness probe."""
        ...

    def close(self) -> None:
        """Let go of connections and files. A later use opens new ones."""
        ...
