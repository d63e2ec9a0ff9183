"""From changes of the database to removals in the cache: after the commit, never before.

    changes = Changes(database, cache)
    changes.invalidate_on(Article, lambda article: [ArticleNode(article.slug)])

Statements that change rows without loading them (bulk updates) say so themselves, by `remove`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from sqlalchemy import inspect
from sqlalchemy.orm import DeclarativeBase, Session

from app.core.cache.bloom import LocalBloom, SharedBloom
from app.core.cache.manager import Manager
from app.core.cache.node import Node
from app.core.database import Database

M = TypeVar("M", bound=DeclarativeBase)
Nodes = Callable[[Any], Iterable[Node[Any]]]
Keys = Callable[[Any], Iterable[str]]


class Changes:
    """Watches what a database's sessions write.

    Args:
        database: Whose sessions.
        cache: What forgets.
    """

    def __init__(self, database: Database, cache: Manager) -> None:
        self._database = database
        self._cache = cache
        self._rules: list[tuple[type[DeclarativeBase], Nodes]] = []
        self._guards: list[tuple[type[DeclarativeBase], SharedBloom | LocalBloom, Keys]] = []
        database.listen("after_flush", self._note_flush)

    def invalidate_on(self, model: type[M], nodes: Callable[[M], Iterable[Node[Any]]]) -> None:
        """Forget these nodes once a row of this model was added, changed or deleted.

        Args:
            model: Whose rows; those of its subclasses count as well.
            nodes: The nodes that show a row. Of a changed row they are asked for twice: as it is,
                and as it was, so that a renamed one goes by both names.
        """
        self._rules.append((model, nodes))

    def guard_on(
        self, model: type[M], known: SharedBloom | LocalBloom, keys: Callable[[M], Iterable[str]]
    ) -> None:
        """Add the keys of rows to a filter, before the commit and once more after it."""
        self._guards.append((model, known, keys))

    def remove(self, *nodes: Node[Any]) -> None:
        """Forget these nodes once the transaction that is running is committed.

        Raises:
            DatabaseMisuse: None is running.
        """
        if nodes:
            self._database.after_commit(lambda: self._cache.remove_all(nodes))

    def _note_flush(self, session: Session, _: object) -> None:
        self._invalidate(session)
        for model, known, keys_of in self._guards:
            rows = [row for row in (*session.new, *session.dirty) if isinstance(row, model)]
            keys = [key for row in rows for key in keys_of(row)]
            if keys:
                known.add(keys)
                self._database.after_commit(lambda known=known, keys=keys: known.add(keys))  # type: ignore[misc]  # a lambda's defaults have no types

    def _invalidate(self, session: Session) -> None:
        nodes: list[Node[Any]] = []
        for row in (*session.new, *session.dirty, *session.deleted):
            for model, nodes_of in self._rules:
                if isinstance(row, model):
                    nodes += nodes_of(row)
                    nodes += nodes_of(_Before(row))
        self.remove(*nodes)


class _Before:
    """A row as it was when it was read."""

    def __init__(self, row: DeclarativeBase) -> None:
        self._row = row

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  whatever the column holds
        state = inspect(self._row)
        if name in state.mapper.column_attrs:
            former, *_ = state.attrs[name].history.deleted or (getattr(self._row, name),)
            return former
        return getattr(self._row, name)
