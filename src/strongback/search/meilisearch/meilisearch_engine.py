"""The engine on Meilisearch."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from strongback.log.setup import get_logger
from strongback.search.exceptions import SearchUnavailable
from strongback.search.index import Document, Index, Key
from strongback.search.meilisearch.connection import Connection, MeilisearchRefused
from strongback.search.meilisearch.declaration import differences, settings_of
from strongback.search.meilisearch.document import FORM, encode, fingerprint, phrases, primary_key
from strongback.search.meilisearch.request import (
    read_result,
    read_suggestions,
    search_body,
    suggest_body,
)
from strongback.search.meilisearch.store import Store
from strongback.search.query import Query, Result, Stamp, Status, Suggestion
from strongback.search.separator import has_words
from strongback.search.value import decode_value

log = get_logger(__name__)

NEW = "__new_"
"""Stands between an index's name and a number in the name of its successor."""
TASK_TIMEOUT = 120.0
"""Seconds; a large batch takes some on a busy server."""
ENOUGH = 5
"""Documents from which on nobody looks for similar ones."""


class MeilisearchEngine:
    """Serves indexes from a Meilisearch, version 1.36 or later.

    Args:
        url: Address of the server, such as `http://127.0.0.1:7700`.
        master_key: Makes two keys, one to search the indexes of this prefix and one to write, and
            does nothing else. Empty for a Meilisearch without protection.
        prefix: Begins the name of every index, where several applications share a Meilisearch.
        task_timeout: Seconds in which Meilisearch has to do what it is given to do.
    """

    name = "meilisearch"

    def __init__(
        self,
        url: str,
        master_key: str,
        *,
        prefix: str = "",
        task_timeout: float = TASK_TIMEOUT,
    ) -> None:
        self._connection = Connection(url, master_key, prefix, task_timeout)
        self._store = Store(self._connection)
        self._prefix = prefix

    def prepare(self, index: Index) -> list[str]:
        """Make the index if it is missing, and send the settings that differ."""
        uid = self._uid(index)
        done = []
        if not self._store.exists(uid):
            self._store.make(uid)
            done.append(f"made the index {uid}")
        if changes := self._differences(index, uid):
            self._store.configure(uid, changes)
            done += [f"set {name}" for name in changes]
        return done

    def status(self, index: Index) -> Status:
        """Tell the state of the index."""
        uid = self._uid(index)
        documents = self._store.count(uid)
        if documents is None:
            return Status(exists=False)
        changes = self._differences(index, uid)
        # Without its settings Meilisearch could not tell documents of another form.
        is_current = bool(changes) or not self._store.has(uid, f'{FORM} != "{fingerprint(index)}"')
        return Status(
            exists=True,
            documents=documents,
            is_current=is_current,
            differences=tuple(f"{name} differs" for name in changes),
            is_building=bool(self._store.names(f"{uid}{NEW}")),
        )

    def add(self, index: Index, documents: Sequence[Document]) -> None:
        """Add documents, each in place of the one with the same key."""
        if documents:
            encoded = [encode(index, document) for document in documents]
            self._store.write(self._existing(index), encoded)

    def delete(self, index: Index, keys: Sequence[Key]) -> None:
        """Delete documents."""
        if keys:
            self._store.drop(self._existing(index), [primary_key(key) for key in keys])

    def rebuild(self, index: Index, batches: Iterable[Sequence[Document]]) -> int:
        """Build a successor, and put it in the index's place."""
        uid = self._uid(index)
        self._store.make(uid)
        for left in self._store.names(f"{uid}{NEW}"):  # by a build that has died
            self._store.discard(left)
        successor = f"{uid}{NEW}{secrets.token_hex(4)}"
        self._store.make(successor)
        try:
            self._store.configure(successor, settings_of(index))
            self._store.write(successor, (encode(index, d) for batch in batches for d in batch))
            self._replace(index, successor)
        finally:
            self._store.discard(successor)
        return self._store.count(uid) or 0

    def _replace(self, index: Index, successor: str) -> None:
        # Another build would have deleted it; Meilisearch makes one anew for a document, but
        # without settings.
        if not self._store.exists(successor) or self._differences(index, successor):
            raise MeilisearchRefused("Another process has begun to build this index anew since.")
        self._store.swap(self._uid(index), successor)

    def search(self, index: Index, query: Query) -> Result:
        """Find documents."""
        started = time.perf_counter()
        text, body = search_body(index, query)
        # Without words Meilisearch would take it for a search for everything.
        if query.text.strip() and not has_words(text):
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
        for found in self._store.fetch(uid, fields):
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

    def _existing(self, index: Index) -> str:
        """Return the name of an index that is there: a document would make one without settings."""
        uid = self._uid(index)
        if not self._store.exists(uid):
            log.warning("search_index_missing", index=uid)
            raise SearchUnavailable
        return uid

    def _differences(self, index: Index, uid: str) -> dict[str, Any]:
        return differences(settings_of(index), self._store.settings(uid))


def _total(answer: Mapping[str, Any]) -> int:
    return int(answer.get("totalHits", answer.get("estimatedTotalHits", 0)))
