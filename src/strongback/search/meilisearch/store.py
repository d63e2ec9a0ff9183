"""Indexes, documents and notes, in Meilisearch's terms.

`uid` is everywhere the index that people search. Beside it stands `…__meta`, whose documents are
notes: how the documents are made, which successor is being built, and what was deleted meanwhile.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

from meilisearch import Client
from meilisearch.models.task import TaskInfo

from strongback.search.meilisearch.connection import (
    SEARCH_TIMEOUT,
    SPARE,
    WRITE_TIMEOUT,
    Connection,
    Role,
)
from strongback.search.meilisearch.document import BUILD, PRIMARY, batches

AT_ONCE = 1_000
"""Documents that one request fetches or deletes."""
KEPT_TASKS = 24 * 3600
"""Seconds for which Meilisearch keeps tasks that are done: it holds a million at most."""
_FINISHED = "succeeded,failed,canceled"
NDJSON = "application/x-ndjson"

ResultT = TypeVar("ResultT")
Stored = dict[str, Any]
"""A document as Meilisearch keeps it."""


class Store:
    """What a Meilisearch holds for this application. Safe to share between threads."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    # Indexes

    def exists(self, uid: str) -> bool:
        """Tell whether the index was ever made."""
        return self.find(uid, lambda client: client.get_raw_index(uid)) is not None

    def make(self, uid: str, name: str) -> None:
        """Make the index, or one that belongs to it; another process may be faster."""
        self.run(
            uid,
            lambda client: client.create_index(name, {"primaryKey": PRIMARY}),
            tolerated="index_already_exists",
        )

    def discard(self, uid: str, name: str) -> None:
        """Delete an index that belongs to this one, and what Meilisearch knows of its tasks."""
        self.run(uid, lambda client: client.delete_index(name), tolerated="index_not_found")
        filters = {"indexUids": name, "statuses": _FINISHED}
        self.ask(uid, lambda client: client.delete_tasks(filters))

    def belongings(self, uid: str) -> list[str]:
        """Return the names of the indexes that belong to this one."""
        found: Any = self.ask(uid, lambda client: client.get_raw_indexes({"limit": AT_ONCE}))
        names = (one["uid"] for one in found["results"])
        return [name for name in names if name.startswith(f"{uid}{SPARE}")]

    def count(self, uid: str) -> int | None:
        """Return how many documents the index has; None if there is no index."""
        found = self.find(uid, lambda client: client.index(uid).get_stats())
        return None if found is None else found.number_of_documents

    def settings(self, uid: str) -> dict[str, Any]:
        """Return all settings."""
        return self.ask(uid, lambda client: client.index(uid).get_settings())

    def configure(self, uid: str, name: str, settings: Mapping[str, Any]) -> None:
        """Set settings of the index, or of one that belongs to it."""
        self.run(uid, lambda client: client.index(name).update_settings(dict(settings)))

    # Documents

    def search(self, uid: str, text: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Search, with a key that may do nothing else."""
        return self._connection.ask(
            Role.SEARCH, uid, lambda client: client.index(uid).search(text, body), SEARCH_TIMEOUT
        )

    def fetch(self, uid: str, name: str, **wanted: Any) -> Iterator[Stored]:  # noqa: ANN401  JSON
        """Return documents, page by page."""
        offset, total = 0, 1
        while offset < total:
            body = {**wanted, "offset": offset, "limit": AT_ONCE}
            page = self.ask(uid, _fetching(name, body))
            yield from (dict(document) for document in page.results)
            offset, total = offset + AT_ONCE, page.total

    def send(self, uid: str, name: str, lines: bytes) -> TaskInfo:
        """Have documents added."""
        return self._connection.ask(
            Role.INDEX,
            uid,
            lambda client: client.index(name).add_documents_raw(lines, PRIMARY, NDJSON),
            WRITE_TIMEOUT,
        )

    def drop(self, uid: str, name: str, keys: list[str]) -> TaskInfo:
        """Have documents deleted."""
        text = f"{PRIMARY} IN {json.dumps(keys)}"  # their alphabet needs no escapes
        return self.ask(uid, lambda client: client.index(name).delete_documents(filter=text))

    def finish(self, uid: str, tasks: Iterable[TaskInfo]) -> None:
        """Wait until tasks are done."""
        self._connection.finish(uid, tasks)

    # Notes

    def note(self, uid: str, key: str) -> Stored | None:
        """Return a note."""
        meta = _meta(uid)
        found = self.find(uid, lambda client: client.index(meta).get_document(key))
        return None if found is None else dict(found)

    def notes(self, uid: str, text: str) -> Iterator[Stored]:
        """Return the notes that a filter finds."""
        return self.fetch(uid, _meta(uid), filter=text)

    def write_notes(self, uid: str, notes: Iterable[Stored]) -> None:
        """Write notes."""
        meta = _meta(uid)
        self.finish(uid, [self.send(uid, meta, lines) for lines in batches(notes)])

    def configure_notes(self, uid: str) -> None:
        """Let notes be found by the successor that they are about."""
        self.configure(uid, _meta(uid), {"filterableAttributes": [BUILD]})

    def clear_notes(self, uid: str) -> None:
        """Delete the notes that are about successors."""
        meta, text = _meta(uid), f"{BUILD} EXISTS"
        self.run(uid, lambda client: client.index(meta).delete_documents(filter=text))

    def forget_tasks(self, uid: str) -> None:
        """Have Meilisearch forget what was done for this index long ago."""
        before = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - KEPT_TASKS))
        filters = {"indexUids": f"{uid},{_meta(uid)}", "statuses": _FINISHED}
        filters["beforeFinishedAt"] = before
        self.ask(uid, lambda client: client.delete_tasks(filters))

    # Requests

    def ask(self, uid: str, question: Callable[[Client], ResultT]) -> ResultT:
        """Ask with the key that may write."""
        return self._connection.ask(Role.INDEX, uid, question)

    def find(self, uid: str, question: Callable[[Client], ResultT]) -> ResultT | None:
        """Ask for something that may not be there."""
        return self._connection.find(Role.INDEX, uid, question)

    def run(
        self, uid: str, order: Callable[[Client], TaskInfo], *, tolerated: str | None = None
    ) -> None:
        """Have a task done and wait for it."""
        self._connection.finish(uid, [self.ask(uid, order)], tolerated=tolerated)


def parts(names: list[str]) -> Iterator[list[str]]:
    """Return names in portions that one request takes."""
    return (names[at : at + AT_ONCE] for at in range(0, len(names), AT_ONCE))


def _meta(uid: str) -> str:
    return f"{uid}{SPARE}meta"


def _fetching(name: str, body: dict[str, Any]) -> Callable[[Client], Any]:
    return lambda client: client.index(name).get_documents(body)
