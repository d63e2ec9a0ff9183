"""From changes of the database to removals in the cache: after the commit, never before.

    invalidator = CacheInvalidator(database, cache, outbox)
    invalidator.invalidate_on(Article, lambda article: [ArticleNode(article.slug)])
    invalidator.invalidate_list(Article, lists, lambda article: ["", f"author:{article.author}"])

Rows that are changed as objects are noticed. A statement that changes one without loading it is
followed by `database.touch(row, "column")`; one that changes many, by `remove`.

Values that a transaction makes outdated are removed once it is committed. Should the process die
before that, or Redis not answer, a message of the same transaction has them removed.
"""

from __future__ import annotations

import json
import time
import uuid
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import inspect
from sqlalchemy.orm import DeclarativeBase, Session, SessionTransaction

from strongback.cache.cached_list import CachedList
from strongback.cache.error import CacheUnavailable
from strongback.cache.manager import Manager
from strongback.cache.node import Node
from strongback.database import Database, DatabaseMisuse
from strongback.outbox import Outbox

if TYPE_CHECKING:
    from strongback.cache.bloom_filter import BloomFilter

M = TypeVar("M", bound=DeclarativeBase)
Outdated = Node[Any] | str
"""A value to remove: a node, or a key of a list."""

_OutdatedBy = Callable[[Any, frozenset[str] | None], Iterable[Outdated]]
"""Returns the values that a row makes outdated, by its changed columns; None for a new or deleted
row."""

OUTDATED = "cache:outdated"
"""Topic of the keys that a transaction has made outdated."""
REPAIR_AFTER = timedelta(seconds=3)
"""Delay after which the outbox removes values that the process itself has not removed."""
WITHDRAW_WITHIN = 2.0
"""Seconds after a commit in which its message can be taken back, before a worker has it."""
TAKEN_BACK = 20
"""Messages that are taken back by one statement, unless they become due."""
MOST_REMOVED = 1000
"""Messages that wait to be taken back; others are removed once more, which does no harm."""
PART = 12_000
"""Bytes of keys in one message."""
_INFO = "cache_outdated"


class CacheInvalidator:
    """Watches the writes of a database's sessions."""

    def __init__(self, database: Database, cache: Manager, outbox: Outbox) -> None:
        self._database = database
        self._cache = cache
        self._outbox = outbox
        self._rules: list[tuple[type[DeclarativeBase], _OutdatedBy]] = []
        self._filters: list[tuple[type[DeclarativeBase], BloomFilter, Callable[[Any], str]]] = []
        self._removed: deque[tuple[float, str]] = deque(maxlen=MOST_REMOVED)
        database.listen("after_flush", self._note_flush)
        database.listen("persistent_to_deleted", self._note_deleted)
        database.listen("before_commit", self._settle)
        database.listen("after_transaction_end", _forget)
        database.listen_to_touches(self._note_row)

    def invalidate_on(self, model: type[M], outdated: Callable[[M], Iterable[Outdated]]) -> None:
        """Forget nodes once a row of this model was added, changed or deleted.

        Args:
            model: The model; rows of its subclasses count as well.
            outdated: Returns the nodes that show a row. For a changed row it is called twice: with
                the row as it is, and as it was, so that a renamed one is removed by both names.
        """
        self._rules.append((model, lambda row, _: outdated(row)))

    def invalidate_list(
        self,
        model: type[M],
        lists: CachedList[Any],
        groups: Callable[[M], Iterable[str]],
        *,
        counters: Collection[str] = (),
    ) -> None:
        """Forget the pages that list a row of this model, once it has changed.

        Args:
            model: The model.
            lists: The list's pages.
            groups: Returns the groups in which a row is, or was.
            counters: Columns that may be shown a moment late, and do not decide which rows are
                listed.
        """
        late = frozenset(counters)

        def outdated(row: M, columns: frozenset[str] | None) -> list[str]:
            names = list(groups(row))
            if columns is None or not columns <= late:
                return lists.changed_keys(*names)
            return lists.counted_keys(*names) if names else []

        self._rules.append((model, outdated))

    def filter(
        self, kind: type[Node[Any]], model: type[M], known: BloomFilter, key: Callable[[M], str]
    ) -> None:
        """Answer for keys that a filter does not know without touching storages or database.

        Args:
            kind: Nodes of these keys.
            model: Rows that the nodes show.
            known: Learns the keys of rows before the commit and once more after it.
            key: Returns the key of a row.
        """
        self._cache.filter(kind, known)
        self._filters.append((model, known, key))

    def remove(self, *outdated: Outdated) -> None:
        """Forget values once the running transaction is committed.

        Raises:
            DatabaseMisuse: No transaction is running.
        """
        if not self._database.is_in_transaction:
            raise DatabaseMisuse("name outdated values in the transaction that changes them")
        keys = (each if isinstance(each, str) else self._cache.key_of(each) for each in outdated)
        self._database.session.info.setdefault(_INFO, {}).update(dict.fromkeys(keys))

    def repair(self, keys: Iterable[str]) -> None:
        """Forget the outdated values of a transaction whose process may not have done so.

        Raises:
            CacheUnavailable: Redis does not answer.
        """
        if not self._cache.remove_keys(keys):
            raise CacheUnavailable("Redis does not answer; outdated values are removed later")

    # In the transaction

    def _note_flush(self, session: Session, _: object) -> None:
        for row in session.new:
            self._note_row(row, None)
        for row in session.dirty:
            state = inspect(row)
            columns = frozenset(state.mapper.attrs.keys()) - state.unmodified
            self._note_row(row, columns)
            self._note_row(row, columns, former=True)
        for model, known, key_of in self._filters:
            rows = [*session.new, *session.dirty]
            keys = [key_of(row) for row in rows if isinstance(row, model)]
            if keys:
                known.add(keys)
                self._database.after_commit(lambda known=known, keys=keys: known.add(keys))  # type: ignore[misc]  # a lambda's defaults have no types

    def _note_deleted(self, _: Session, row: object) -> None:
        # By this event, since `session.deleted` lacks what is deleted with its owner's list.
        self._note_row(row, None)
        self._note_row(row, None, former=True)

    def _note_row(
        self, row: object, columns: frozenset[str] | None, *, former: bool = False
    ) -> None:
        for model, outdated in self._rules:
            if isinstance(row, model):
                self.remove(*outdated(_Before(row) if former else row, columns))

    def _settle(self, session: Session) -> None:
        """Before the commit, when all is flushed: write down the keys to remove after it."""
        if session.in_nested_transaction():
            return  # a savepoint
        keys = list(session.info.pop(_INFO, ()))
        if not keys:
            return
        names = self._write_down(keys) if self._cache.is_shared else []
        self._database.after_commit(lambda: self._remove(keys, names))

    def _write_down(self, keys: Sequence[str]) -> list[str]:
        """Emit the keys, and withdraw messages about earlier ones that are removed."""
        if len(self._removed) >= TAKEN_BACK and (done := list(self._take_removed())):
            self._outbox.withdraw(OUTDATED, done)
        names = []
        for part in _parts(keys):
            names.append(uuid.uuid4().hex)
            self._outbox.emit(OUTDATED, {"keys": part}, key=names[-1], delay=REPAIR_AFTER)
        return names

    def _take_removed(self) -> Iterator[str]:
        now = time.monotonic()
        with suppress(IndexError):  # it is empty: other threads take from it too
            while True:
                end, name = self._removed.popleft()
                if now < end:
                    yield name

    # After it

    def _remove(self, keys: Sequence[str], names: Iterable[str]) -> None:
        end = time.monotonic() + WITHDRAW_WITHIN
        # Unless Redis was told, the message stays: this process may not live to tell it.
        if self._cache.remove_keys(keys):
            self._removed.extend((end, name) for name in names)


def _forget(session: Session, transaction: SessionTransaction) -> None:
    if transaction.parent is None:
        session.info.pop(_INFO, None)


def _parts(keys: Iterable[str]) -> Iterator[list[str]]:
    part: list[str] = []
    size = 0
    for key in keys:
        length = len(json.dumps(key)) + 2
        if part and size + length > PART:
            yield part
            part, size = [], 0
        part.append(key)
        size += length
    yield part


class _Before:
    """A row as it was when it was read."""

    def __init__(self, row: object) -> None:
        self._row = row

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  whatever the column holds
        state = inspect(self._row)
        if name in state.mapper.column_attrs:
            former, *_ = state.attrs[name].history.deleted or (getattr(self._row, name),)
            return former
        return getattr(self._row, name)
