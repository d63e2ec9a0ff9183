"""Indexes and documents, in Meilisearch's terms."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from meilisearch import Client
from meilisearch.models.task import TaskInfo

from strongback.search.meilisearch.connection import SEARCH_TIMEOUT, WRITE_TIMEOUT, Connection, Role
from strongback.search.meilisearch.document import PRIMARY, batches

AT_ONCE = 1_000
"""Documents that one request fetches or deletes."""
IN_FLIGHT = 8
"""Batches that Meilisearch may have taken on and not done."""
_NDJSON = "application/x-ndjson"

Order = Callable[[Client], TaskInfo]
Stored = dict[str, Any]
"""A document as Meilisearch keeps it."""


class Store:
    """Indexes and documents of this application. Safe to share between threads."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    # Indexes

    def exists(self, uid: str) -> bool:
        """Tell whether the index was ever made."""
        return self._connection.find(lambda client: client.get_raw_index(uid)) is not None

    def make(self, uid: str) -> None:
        """Make an index; another process may be faster."""
        options = {"primaryKey": PRIMARY}
        self._run(lambda client: client.create_index(uid, options), "index_already_exists")

    def discard(self, uid: str) -> None:
        """Delete an index, unless another process has."""
        self._run(lambda client: client.delete_index(uid), "index_not_found")

    def swap(self, uid: str, other: str) -> None:
        """Put one index in the other's place and the other way round, at once."""
        self._run(lambda client: client.swap_indexes([{"indexes": [uid, other]}]))

    def names(self, beginning: str) -> list[str]:
        """Return the names of the indexes that begin so."""
        options = {"limit": AT_ONCE}
        found: Any = self._connection.ask(lambda c: c.get_raw_indexes(options))
        return [one["uid"] for one in found["results"] if one["uid"].startswith(beginning)]

    def count(self, uid: str) -> int | None:
        """Return how many documents the index has; None if there is no index."""
        found = self._connection.find(lambda client: client.index(uid).get_stats())
        return None if found is None else found.number_of_documents

    def settings(self, uid: str) -> dict[str, Any]:
        """Return all settings."""
        return self._connection.ask(lambda client: client.index(uid).get_settings())

    def configure(self, uid: str, settings: Mapping[str, Any]) -> None:
        """Set some settings."""
        self._run(lambda client: client.index(uid).update_settings(dict(settings)))

    # Documents

    def search(self, uid: str, text: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Search, with a key that may do nothing else."""
        return self._connection.ask(
            lambda client: client.index(uid).search(text, body), SEARCH_TIMEOUT, Role.SEARCH
        )

    def fetch(self, uid: str, fields: list[str]) -> Iterator[Stored]:
        """Return all documents, page by page."""
        offset, total = 0, 1
        while offset < total:
            page = self._page(uid, {"fields": fields, "offset": offset, "limit": AT_ONCE})
            yield from (dict(document) for document in page.results)
            offset, total = offset + AT_ONCE, page.total

    def has(self, uid: str, condition: str) -> bool:
        """Tell whether a document fulfils a condition."""
        return bool(self._page(uid, {"filter": condition, "fields": [PRIMARY], "limit": 1}).total)

    def write(self, uid: str, documents: Iterable[Stored]) -> None:
        """Add documents, each in place of the one with its key, and wait until they are there."""
        waiting: deque[TaskInfo] = deque()
        for lines in batches(documents):
            add = partial(_add, uid=uid, lines=lines)
            waiting.append(self._connection.ask(add, WRITE_TIMEOUT))
            if len(waiting) > IN_FLIGHT:
                self._connection.finish([waiting.popleft()])
        self._connection.finish(waiting)

    def drop(self, uid: str, keys: list[str]) -> None:
        """Delete documents, and wait until they are gone."""
        self._connection.finish(
            [self._drop(uid, keys[at : at + AT_ONCE]) for at in range(0, len(keys), AT_ONCE)]
        )

    # Requests

    def _page(self, uid: str, body: dict[str, Any]) -> Any:  # noqa: ANN401  the client's own
        return self._connection.ask(lambda c: c.index(uid).get_documents(body))

    def _drop(self, uid: str, keys: list[str]) -> TaskInfo:
        text = f"{PRIMARY} IN {json.dumps(keys)}"  # their alphabet needs no escapes
        return self._connection.ask(lambda c: c.index(uid).delete_documents(filter=text))

    def _run(self, order: Order, tolerated: str | None = None) -> None:
        """Have a task done and wait for it."""
        self._connection.finish([self._connection.ask(order)], tolerated=tolerated)


def _add(client: Client, uid: str, lines: bytes) -> TaskInfo:
    return client.index(uid).add_documents_raw(lines, PRIMARY, _NDJSON)
