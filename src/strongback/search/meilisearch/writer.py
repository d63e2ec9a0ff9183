"""Writing, in such an order that a search never sees a half index and no write is lost.

While a successor is being built, everybody who writes learns of it from a note, and writes to the
successor first and to the present index second. Meilisearch does its tasks in the order in which
it took them on, and a swap is a task: whether the swap comes before both, between them or after
both, the write is in the index that people search afterwards.

What the builder reads from the database may be older than what others write meanwhile. So in the
end it copies what the present index got meanwhile (`_build` says so), and deletes what was deleted
(there are notes of it). No clocks are compared: what was written before anybody knew of
the successor had been committed before, so the builder has read it.
"""

from __future__ import annotations

import secrets
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from meilisearch.models.task import TaskInfo

from strongback.log.setup import get_logger
from strongback.search.exceptions import SearchUnavailable
from strongback.search.index import Document, Index, Key
from strongback.search.meilisearch.connection import SPARE, MeilisearchRefused
from strongback.search.meilisearch.document import (
    BUILD,
    PRIMARY,
    WRITTEN,
    batches,
    encode,
    primary_key,
)
from strongback.search.meilisearch.store import Store, parts

log = get_logger(__name__)

IN_FLIGHT = 8
"""Batches that Meilisearch may have taken on and not done while a successor is filled."""
ROUNDS = 10
"""How often the builder looks for what was written meanwhile. The first look finds nearly all; a
later one what somebody wrote between reading a document and copying it."""
BUILD_LIMIT = 24 * 3600 * 1_000_000
"""Microseconds after which a successor counts as left behind by a process that has died."""
_FORM, _BUILDING = "form", "building"


class Writer:
    """Adds and deletes documents, and builds indexes anew. Safe to share between threads."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def form(self, uid: str) -> str | None:
        """Return the fingerprint of how the documents are made."""
        return (self._store.note(uid, _FORM) or {}).get("value")

    def note_form(self, uid: str, value: str) -> None:
        """Note how the documents are made."""
        self._store.write_notes(uid, [{PRIMARY: _FORM, "value": value}])

    def successor(self, uid: str) -> str | None:
        """Return the index that is being built, if one is."""
        note = self._store.note(uid, _BUILDING)
        return note[BUILD] if note and note[WRITTEN] > _now() - BUILD_LIMIT else None

    def add(self, uid: str, index: Index, documents: Sequence[Document]) -> None:
        """Add documents, each in place of the one with the same key."""
        targets = self._targets(uid)
        mark = _mark(targets)
        encoded = [encode(index, document) | mark for document in documents]
        sent = [(name, lines) for name in targets for lines in batches(encoded)]
        self._store.finish(uid, [self._store.send(uid, name, lines) for name, lines in sent])

    def delete(self, uid: str, keys: Sequence[Key]) -> None:
        """Delete documents."""
        names = [primary_key(key) for key in keys]
        targets = self._targets(uid)
        mark = _mark(targets)
        if BUILD in mark:
            notes = [{PRIMARY: f"gone-{name}", "gone": name} | mark for name in names]
            self._store.write_notes(uid, notes)
        dropped = [(target, part) for target in targets for part in parts(names)]
        self._store.finish(uid, [self._store.drop(uid, *one) for one in dropped])

    @contextmanager
    def building(self, uid: str) -> Iterator[str]:
        """Make an empty successor, tell everybody who writes, and clear up in the end."""
        name = f"{uid}{SPARE}new_{secrets.token_hex(4)}"
        if not self._store.exists(uid):
            self._store.make(uid, uid)
        filterable = self._store.settings(uid)["filterableAttributes"]
        if BUILD not in filterable:
            self._store.configure(uid, uid, {"filterableAttributes": [*filterable, BUILD]})
        self._store.configure_notes(uid)
        self._store.make(uid, name)
        self._store.write_notes(uid, [{PRIMARY: _BUILDING} | _mark([name, uid])])
        try:
            yield name
        finally:
            if self.successor(uid) == name:
                self._store.clear_notes(uid)
            self._clear_away(uid)

    def fill(
        self, uid: str, name: str, index: Index, batched: Iterable[Sequence[Document]]
    ) -> None:
        """Write documents to the successor, then what others have written meanwhile."""
        waiting: deque[TaskInfo] = deque()
        documents = (encode(index, document) for batch in batched for document in batch)
        for lines in batches(documents):
            waiting.append(self._store.send(uid, name, lines))
            if len(waiting) > IN_FLIGHT:
                self._store.finish(uid, [waiting.popleft()])
        self._store.finish(uid, waiting)
        copied: dict[str, int] = {}
        for _ in range(ROUNDS):
            if not self._catch_up(uid, name, copied):
                break

    def replace(self, uid: str, name: str) -> None:
        """Put the successor in the index's place, at once."""
        if self.successor(uid) != name:
            raise MeilisearchRefused(
                f"{uid} was not replaced: another process has begun to build it anew since."
            )
        self._store.run(uid, lambda client: client.swap_indexes([{"indexes": [uid, name]}]))

    def _targets(self, uid: str) -> list[str]:
        """Return the indexes to write to, in their order.

        Meilisearch would make an index for a document that has none, without settings; so an
        index has to be there.
        """
        if not self._store.exists(uid):
            log.warning("search_index_missing", index=uid)
            raise SearchUnavailable
        successor = self.successor(uid)
        return [successor, uid] if successor else [uid]

    def _catch_up(self, uid: str, name: str, copied: dict[str, int]) -> bool:
        """Copy what the index got while its successor was filled.

        Args:
            uid: The index.
            name: Its successor.
            copied: What was copied already, by key, and as it was written when.

        Returns:
            Whether there was anything.
        """
        meanwhile = f'{BUILD} = "{name}"'
        found = {one[PRIMARY]: one for one in self._store.fetch(uid, uid, filter=meanwhile)}
        fresh = {key: one for key, one in found.items() if copied.get(key) != one[WRITTEN]}
        notes = {
            note[PRIMARY]: note
            for note in self._store.notes(uid, meanwhile)
            if "gone" in note and copied.get(note[PRIMARY]) != note[WRITTEN]
        }
        gone = [note["gone"] for note in notes.values() if note["gone"] not in found]
        tasks = [self._store.send(uid, name, lines) for lines in batches(fresh.values())]
        tasks += [self._store.drop(uid, name, part) for part in parts(gone)]
        self._store.finish(uid, tasks)
        copied |= {key: one[WRITTEN] for key, one in (fresh | notes).items()}
        return bool(tasks)

    def _clear_away(self, uid: str) -> None:
        """Delete successors that are none any more: this one, and those of dead processes."""
        kept = self.successor(uid)
        for name in self._store.belongings(uid):
            if name.startswith(f"{uid}{SPARE}new_") and name != kept:
                self._store.discard(uid, name)


def _mark(targets: Sequence[str]) -> dict[str, Any]:
    """Return what is noted on a document: when it was written, and beside which successor."""
    successor = {BUILD: targets[0]} if len(targets) > 1 else {}
    return {WRITTEN: _now()} | successor


def _now() -> int:
    return time.time_ns() // 1000
