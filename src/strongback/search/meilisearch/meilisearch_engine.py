"""The engine on Meilisearch."""

from __future__ import annotations

import json
import secrets
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import count
from typing import Any

from meilisearch import Client
from meilisearch.models.task import TaskInfo

from strongback.log.setup import get_logger
from strongback.search.exceptions import SearchUnavailable
from strongback.search.index import Document, Index, Key
from strongback.search.meilisearch.connection import (
    SEARCH_TIMEOUT,
    WRITE_TIMEOUT,
    Connection,
    MeilisearchRefused,
    Role,
)
from strongback.search.meilisearch.declaration import differences, settings_of
from strongback.search.meilisearch.document import (
    FORM,
    PRIMARY,
    batches,
    encode,
    fingerprint,
    phrases,
    primary_key,
)
from strongback.search.meilisearch.request import (
    read_result,
    read_suggestions,
    search_body,
    suggest_body,
)
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
AT_ONCE = 1_000
"""Documents that one request fetches or deletes."""
IN_FLIGHT = 8
"""Batches that Meilisearch may have taken on and not done."""
_NDJSON = "application/x-ndjson"


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
        self, url: str, master_key: str, *, prefix: str = "", task_timeout: float = TASK_TIMEOUT
    ) -> None:
        self._connection = Connection(url, master_key, prefix, task_timeout)
        self._prefix = prefix

    # Indexes

    def prepare(self, index: Index) -> list[str]:
        """Make the index if it is missing, and send the settings that differ."""
        uid = self._uid(index)
        done = []
        if not self._exists(uid):
            self._make(uid)
            done.append(f"made the index {uid}")
        if changes := self._differences(index, uid):
            self._do(lambda client: client.index(uid).update_settings(changes))
            done += [f"set {name}" for name in changes]
        return done

    def status(self, index: Index) -> Status:
        """Tell the state of the index."""
        uid = self._uid(index)
        documents = self._count(uid)
        if documents is None:
            return Status(exists=False)
        changes = self._differences(index, uid)
        # Without its settings Meilisearch could not tell documents of another form.
        is_current = bool(changes) or not self._page(
            uid, filter=f'{FORM} != "{fingerprint(index)}"', fields=[PRIMARY], limit=1
        )
        return Status(
            exists=True,
            documents=documents,
            is_current=is_current,
            differences=tuple(f"{name} differs" for name in changes),
            is_building=bool(self._successors(uid)),
        )

    def rebuild(self, index: Index, batches: Iterable[Sequence[Document]]) -> int:
        """Build a successor, and put it in the index's place."""
        uid = self._uid(index)
        self._make(uid)
        for left in self._successors(uid):  # by a build that has died
            self._discard(left)
        successor = f"{uid}{NEW}{secrets.token_hex(4)}"
        self._make(successor)
        try:
            self._do(lambda client: client.index(successor).update_settings(settings_of(index)))
            self._write(successor, (encode(index, d) for batch in batches for d in batch))
            # Another build would have deleted it; Meilisearch makes one anew for a document, but
            # without settings.
            if not self._exists(successor) or self._differences(index, successor):
                raise MeilisearchRefused(
                    "Another process has begun to build this index anew since."
                )
            self._do(lambda client: client.swap_indexes([{"indexes": [uid, successor]}]))
        finally:
            self._discard(successor)
        return self._count(uid) or 0

    # Documents

    def add(self, index: Index, documents: Sequence[Document]) -> None:
        """Add documents, each in place of the one with the same key."""
        if documents:
            encoded = [encode(index, document) for document in documents]
            self._write(self._existing(index), encoded)

    def delete(self, index: Index, keys: Sequence[Key]) -> None:
        """Delete documents."""
        if not keys:
            return
        uid, known = self._existing(index), [primary_key(key) for key in keys]
        self._connection.finish(
            [self._drop(uid, known[at : at + AT_ONCE]) for at in range(0, len(known), AT_ONCE)]
        )

    def stamps(self, index: Index) -> Iterator[Stamp]:
        """Tell key and version of every document."""
        uid, version = self._uid(index), index[index.version] if index.version else None
        fields = [index.key, version.name] if version else [index.key]
        for offset in count(0, AT_ONCE):
            page = self._page(uid, fields=fields, offset=offset, limit=AT_ONCE)
            for found in page:
                value = decode_value(version, found.get(version.name)) if version else None
                yield found[index.key], value
            if len(page) < AT_ONCE:
                return

    # Searching

    def search(self, index: Index, query: Query) -> Result:
        """Find documents."""
        started = time.perf_counter()
        text, body = search_body(index, query)
        # Without words Meilisearch would take it for a search for everything.
        if query.text.strip() and not has_words(text):
            answer: dict[str, Any] = {"hits": [], "totalHits": 0}
        else:
            answer = self._search(index, text, body, phrases(text), is_patient=not query.sort)
        return read_result(index, query, answer, (time.perf_counter() - started) * 1000)

    def suggest(self, index: Index, text: str, limit: int) -> list[Suggestion]:
        """Find texts of the attribute that the index suggests."""
        if not has_words(text):
            return []
        answer = self._search(index, *suggest_body(index, text, limit), is_patient=True)
        return read_suggestions(index, answer, limit)

    def _search(
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

        def ask(text: str, strategy: str) -> dict[str, Any]:
            options = {**body, "matchingStrategy": strategy}
            return self._connection.ask(
                lambda client: client.index(self._uid(index)).search(text, options),
                SEARCH_TIMEOUT,
                Role.SEARCH,
            )

        answer = ask(text, "all")
        if characters and not _total(answer):
            by_characters = ask(characters, "all")
            if _total(by_characters):
                return by_characters
        if is_patient and text.strip() and _total(answer) < ENOUGH:
            answer = ask(text, "frequency")
        return answer

    def ping(self) -> None:
        """Ask for a sign of life."""
        self._connection.ping()

    def close(self) -> None:
        """End the connection's threads."""
        self._connection.close()

    # Requests

    def _uid(self, index: Index) -> str:
        return f"{self._prefix}{index.name}"

    def _exists(self, uid: str) -> bool:
        return self._connection.find(lambda client: client.get_raw_index(uid)) is not None

    def _existing(self, index: Index) -> str:
        """Return the name of an index that is there: a document would make one without settings."""
        uid = self._uid(index)
        if not self._exists(uid):
            log.warning("search_index_missing", index=uid)
            raise SearchUnavailable
        return uid

    def _make(self, uid: str) -> None:
        options = {"primaryKey": PRIMARY}
        # Another process may be faster.
        self._do(lambda client: client.create_index(uid, options), "index_already_exists")

    def _discard(self, uid: str) -> None:
        self._do(lambda client: client.delete_index(uid), "index_not_found")

    def _successors(self, uid: str) -> list[str]:
        options = {"limit": AT_ONCE}
        found: Any = self._connection.ask(lambda client: client.get_raw_indexes(options))
        names = (one["uid"] for one in found["results"])
        return [name for name in names if name.startswith(f"{uid}{NEW}")]

    def _differences(self, index: Index, uid: str) -> dict[str, Any]:
        found = self._connection.ask(lambda client: client.index(uid).get_settings())
        return differences(settings_of(index), found)

    def _count(self, uid: str) -> int | None:
        found = self._connection.find(lambda client: client.index(uid).get_stats())
        return None if found is None else found.number_of_documents

    def _page(self, uid: str, **options: Any) -> list[dict[str, Any]]:  # noqa: ANN401  any JSON
        found = self._connection.ask(lambda client: client.index(uid).get_documents(options))
        return [dict(document) for document in found.results]

    def _write(self, uid: str, documents: Iterable[dict[str, Any]]) -> None:
        waiting: deque[TaskInfo] = deque()
        for lines in batches(documents):
            waiting.append(self._add(uid, lines))
            if len(waiting) > IN_FLIGHT:
                self._connection.finish([waiting.popleft()])
        self._connection.finish(waiting)

    def _add(self, uid: str, lines: bytes) -> TaskInfo:
        return self._connection.ask(
            lambda client: client.index(uid).add_documents_raw(lines, PRIMARY, _NDJSON),
            WRITE_TIMEOUT,
        )

    def _drop(self, uid: str, keys: list[str]) -> TaskInfo:
        chosen = f"{PRIMARY} IN {json.dumps(keys)}"  # their alphabet needs no escapes
        return self._connection.ask(lambda c: c.index(uid).delete_documents(filter=chosen))

    def _do(self, order: Callable[[Client], TaskInfo], tolerated: str | None = None) -> None:
        self._connection.finish([self._connection.ask(order)], tolerated=tolerated)


def _total(answer: Mapping[str, Any]) -> int:
    return int(answer.get("totalHits", answer.get("estimatedTotalHits", 0)))
