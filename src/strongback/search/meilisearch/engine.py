"""The engine on Meilisearch."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from strongback.search.index import Document, Index, Key
from strongback.search.meilisearch.declaration import differences, fingerprint, settings_of
from strongback.search.meilisearch.document import decode_value, phrases
from strongback.search.meilisearch.request import (
    read_result,
    read_suggestions,
    search_body,
    suggest_body,
)
from strongback.search.query import Query, Result, Stamp, Status, Suggestion
from strongback.search.separator import has_words

LOCALES = ("cmn", "eng")
TASK_TIMEOUT = 120.0
"""Seconds; a large batch takes some on a busy server."""
ENOUGH = 5
"""Documents from which on nobody looks for similar ones."""


class MeilisearchEngine:
    """Serves indexes from a Meilisearch, version 1.36 or later.

    Args:
        url: Where it listens, such as `http://127.0.0.1:7700`.
        master_key: Makes three keys for each index: to search, to write, and to see that a new
            index took its place. Nothing else is done with it. Empty for a Meilisearch without
            protection.
        prefix: Begins the name of every index, where several applications share a Meilisearch.
        locales: Languages that the texts may be in, as codes of ISO 639-3.
        task_timeout: Seconds in which Meilisearch has to do what it is given to do.
    """

    name = "meilisearch"

    def __init__(
        self,
        url: str,
        master_key: str,
        *,
        prefix: str = "",
        locales: Sequence[str] = LOCALES,
        task_timeout: float = TASK_TIMEOUT,
    ) -> None:
        # Only a process that uses Meilisearch should pay for the client.
        from strongback.search.meilisearch.connection import Connection  # noqa: PLC0415  above
        from strongback.search.meilisearch.store import Store  # noqa: PLC0415  the same
        from strongback.search.meilisearch.writer import Writer  # noqa: PLC0415  the same

        self._connection = Connection(url, master_key, task_timeout)
        self._store = Store(self._connection)
        self._writer = Writer(self._store)
        self._prefix = prefix
        self._locales = tuple(locales)

    def prepare(self, index: Index) -> list[str]:
        """Make the index if it is missing, and send the settings that differ."""
        uid = self._uid(index)
        done = []
        if not self._store.exists(uid):
            self._store.make(uid, uid)
            self._writer.note_form(uid, fingerprint(index))
            done.append(f"made the index {uid}")
        changes = self._differences(index)
        if changes:
            self._store.configure(uid, uid, changes)
            done += [f"set {name}" for name in changes]
        self._store.forget_tasks(uid)
        return done

    def status(self, index: Index) -> Status:
        """Tell how the index is."""
        uid = self._uid(index)
        documents = self._store.count(uid)
        if documents is None:
            return Status(exists=False)
        return Status(
            exists=True,
            documents=documents,
            is_current=self._writer.form(uid) == fingerprint(index),
            differences=tuple(f"{name} differs" for name in self._differences(index)),
            is_building=self._writer.successor(uid) is not None,
        )

    def glance(self, index: Index, most: int) -> Status:  # noqa: ARG002  it knows its number
        """Tell how the index is."""
        return self.status(index)

    def add(self, index: Index, documents: Sequence[Document]) -> None:
        """Add documents, to an index that is being built as well."""
        if documents:
            self._writer.add(self._uid(index), index, documents)

    def delete(self, index: Index, keys: Sequence[Key]) -> None:
        """Delete documents, from an index that is being built as well."""
        if keys:
            self._writer.delete(self._uid(index), keys)

    def rebuild(self, index: Index, batches: Iterable[Sequence[Document]]) -> int:
        """Build a successor, let it catch up with what was written meanwhile, and swap."""
        uid = self._uid(index)
        with self._writer.building(uid) as successor:
            self._store.configure(uid, successor, settings_of(index, self._locales))
            self._writer.fill(uid, successor, index, batches)
            self._writer.replace(uid, successor)
            self._writer.note_form(uid, fingerprint(index))
        self._store.forget_tasks(uid)
        return self._store.count(uid) or 0

    def search(self, index: Index, query: Query) -> Result:
        """Find documents."""
        started = time.perf_counter()
        text, body = search_body(index, query)
        if query.finds_nothing:  # Meilisearch would take it for a search for everything
            answer: dict[str, Any] = {"hits": [], "totalHits": 0}
        else:
            answer = self._ask(index, text, body, phrases(text), is_patient=not query.sort)
        return read_result(index, query, answer, (time.perf_counter() - started) * 1000)

    def suggest(self, index: Index, text: str, limit: int) -> list[Suggestion]:
        """Find texts of the attribute that the index suggests."""
        if not has_words(text):
            return []
        answer = self._ask(index, *suggest_body(index, text, limit), is_patient=True)
        return read_suggestions(index, answer, limit)

    def stamps(self, index: Index) -> Iterator[Stamp]:
        """Tell key and version of every document."""
        uid, version = self._uid(index), index[index.version] if index.version else None
        fields = [index.key, version.name] if version else [index.key]
        for found in self._store.fetch(uid, uid, fields=fields):
            value = decode_value(version, found.get(version.name)) if version else None
            yield found[index.key], value

    def ping(self) -> None:
        """Ask for a sign of life."""
        self._connection.ping()

    def close(self) -> None:
        """End the connection's threads."""
        self._connection.close()

    def _ask(
        self,
        index: Index,
        text: str,
        body: dict[str, Any],
        characters: str | None = None,
        *,
        is_patient: bool,
    ) -> dict[str, Any]:
        """Look for what has every word; where that is little, for what lacks the frequent ones.

        Where nothing has the words of a Chinese query, its characters are looked for, each run of
        them as a phrase: words are cut otherwise in a text than out of it.

        Only a search by relevance is patient: in any other order, what lacks a word would stand
        before what has them all.
        """
        uid, every = self._uid(index), {**body, "matchingStrategy": "all"}
        answer = self._store.search(uid, text, every)
        if characters and not _total(answer):
            by_characters = self._store.search(uid, characters, every)
            if _total(by_characters):
                return by_characters
        if is_patient and text.strip() and _total(answer) < ENOUGH:
            answer = self._store.search(uid, text, {**body, "matchingStrategy": "frequency"})
        return answer

    def _uid(self, index: Index) -> str:
        return f"{self._prefix}{index.name}"

    def _differences(self, index: Index) -> dict[str, Any]:
        found = self._store.settings(self._uid(index))
        return differences(settings_of(index, self._locales), found)


def _total(answer: Mapping[str, Any]) -> int:
    return int(answer.get("totalHits", answer.get("estimatedTotalHits", 0)))
