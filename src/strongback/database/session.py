"""Session scopes and transactions: who opens, who commits, who runs again."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar
from weakref import WeakSet

from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import ORMExecuteState, Session, sessionmaker

from strongback.circuit_breaker import CircuitBreaker
from strongback.database.database_error import DatabaseHangs, DatabaseMisuse, is_hang, is_retryable
from strongback.database.engine import WRITES, Limits, build_engine, limit_statement
from strongback.database.transaction import Transaction, retry, roll_back
from strongback.database.write_lock import WriteLock

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine
    from sqlalchemy.engine import ExceptionContext

    from strongback.config import Settings

PING_TIMEOUT = 2.0
"""Seconds after which a database that does not answer a ping counts as down."""

R = TypeVar("R")
Callback = Callable[[], object]


@dataclass(slots=True)
class _Scope:
    """A unit of work of one thread."""

    thread: int
    read_limit: float | None = None
    session: Session | None = None
    transaction: Transaction | None = None
    opening: Callback | None = None
    """Begins the transaction of which the first write will be a part."""


class _ScopeContext(AbstractContextManager[None]):
    """Opens a scope; a class, because every request pays for it and a generator costs 2 µs more."""

    __slots__ = ("_read_limit", "_variable")

    def __init__(self, variable: ContextVar[_Scope | None], read_limit: float | None) -> None:
        self._variable = variable
        self._read_limit = read_limit

    def __enter__(self) -> None:
        self._variable.set(_Scope(threading.get_ident(), self._read_limit))

    def __exit__(self, *_: object) -> None:
        scope = self._variable.get()
        self._variable.set(None)
        if scope is not None and scope.session is not None:
            roll_back(scope.session)
            scope.session.close()


class Database:
    """The engine, and the session of whatever scope is open where the caller runs.

    Args:
        settings: Address, pool size and time-outs. Nothing is connected before the first use.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._timeout = settings.database_timeout
        self._scope: ContextVar[_Scope | None] = ContextVar("database_scope", default=None)
        self.engine = build_engine(settings, Limits.of(settings))
        self._ping_engine = build_engine(
            settings,
            Limits(connect=PING_TIMEOUT, lock=1, statement=PING_TIMEOUT - 1, pool_size=1),
        )
        self._breaker = self._new_breaker()
        self._write_lock = self._new_write_lock()
        self._touch_listeners: list[Callable[[object, frozenset[str]], object]] = []
        self.retries = 0
        """Transactions that were run again since the start, for the metrics."""
        # Objects stay readable after the commit, so that a view needs no second query.
        self._sessions = sessionmaker(self.engine, expire_on_commit=False)
        event.listen(self._sessions, "before_flush", self._refuse_flush)
        event.listen(self._sessions, "do_orm_execute", self._refuse_statement)
        for engine in (self.engine, self._ping_engine):
            event.listen(engine, "handle_error", self._note_failure)
        event.listen(self.engine, "before_cursor_execute", self._limit_read, retval=True)
        _databases.add(self)

    def listen(self, name: str, listener: Callable[..., object]) -> None:
        """Call a listener on an event of every session; see SQLAlchemy's `SessionEvents`."""
        event.listen(self._sessions, name, listener)

    def listen_to_touches(self, listener: Callable[[object, frozenset[str]], object]) -> None:
        """Call a listener, in the transaction, with each row that is touched, and its columns."""
        self._touch_listeners.append(listener)

    # Scopes

    def scope(self, read_limit: float | None = None) -> AbstractContextManager[None]:
        """Open a unit of work: what is read in it is read once, and it is closed at the end.

        Args:
            read_limit: Seconds for each statement outside of a transaction, where somebody waits
                for the answer and holds a thread.

        A scope inside a scope joins it. A second session would hold a second connection, so that
        a full pool waits for itself, and on SQLite a second writer would wait for the first.
        """
        if self._current() is None:
            return _ScopeContext(self._scope, read_limit)
        return nullcontext()

    @property
    def session(self) -> Session:
        """The open scope's session; reading needs no transaction, writing does.

        Raises:
            DatabaseMisuse: No scope is open in this thread.
            DatabaseHangs: The database is known not to answer.
        """
        scope = self._required()
        if scope.session is None:
            self._refuse_to_hang()
            scope.session = self._sessions()
        return scope.session

    @contextmanager
    def latest(self) -> Iterator[Session]:
        """Read what is committed now, whatever the scope has read before; for filling caches.

        A transaction sees the rows as they were when it began to read. What is read for others
        must not be older than the moment in which they ask for it.
        """
        self._refuse_to_hang()
        scope = self._current()
        if scope is not None and scope.session is not None and scope.transaction is None:
            scope.session.commit()  # gives its connection back, so that one is enough
        with self._sessions() as session:
            yield session

    def _current(self) -> _Scope | None:
        scope = self._scope.get()
        # A context copied into another thread carries the scope along, and a session serves one.
        return scope if scope is not None and scope.thread == threading.get_ident() else None

    def _required(self) -> _Scope:
        scope = self._current()
        if scope is None:
            msg = (
                "no database scope is open in this thread: requests, tasks and commands open one;"
                " elsewhere write `with database.scope():` around the code"
            )
            raise DatabaseMisuse(msg)
        return scope

    def _refuse_flush(self, *_: object) -> None:
        self._require_transaction()

    def _refuse_statement(self, state: ORMExecuteState) -> None:
        if state.is_insert or state.is_update or state.is_delete:
            self._require_transaction()

    # Transactions

    def transact(self, function: Callable[[Session], R]) -> R:
        """Run the function in a transaction and commit, or undo everything and raise.

        After a deadlock, a lock time-out or a stale version everything is undone and the
        function runs again from its start, on fresh rows: it must not do anything besides that
        cannot be done twice. Such things belong in `after_commit`. Opens a scope if none is open.

        A call inside a transaction joins it, and is never run again alone. If it fails, the
        whole transaction fails, even if the error is caught in between; see `savepoint`.
        """
        with self.scope():
            scope = self._required()
            if scope.opening is not None:
                scope.opening()
            if scope.transaction is not None:
                return self._join(scope.transaction, function)
            return retry(lambda: self._attempt(scope, function), self._timeout, self._count_retry)

    def transact_late(
        self,
        function: Callable[[], R],
        *,
        first: Callable[[Session], object],
        last: Callable[[R], object],
    ) -> R:
        """Run the function so that all it writes is one transaction, which begins with a write.

        Whatever the function does before its first call of `transact` is done before any lock is
        taken, however slow it is. After a deadlock it runs again from its start, as in `transact`.

        Args:
            function: Calls whatever writes.
            first: Done at the transaction's start, before anything else of it.
            last: Given the result, and done at the transaction's end.

        Raises:
            DatabaseMisuse: A transaction is open already.
        """
        with self.scope():
            scope = self._required()
            if self.is_in_transaction:
                msg = "a transaction is open: what begins late cannot be a part of it"
                raise DatabaseMisuse(msg)
            return retry(
                lambda: self._attempt_late(scope, function, first, last),
                self._timeout,
                self._count_retry,
            )

    def transact_ahead(self, function: Callable[[Session], R]) -> R:
        """As `transact`, and committed by itself, before a transaction that begins late.

        For large writes in small steps, which do no harm if what follows is undone.

        Raises:
            DatabaseMisuse: A transaction is open, of which this would be a part.
        """
        with self.scope():
            scope = self._required()
            if scope.transaction is not None:
                msg = "a transaction is open: what is to be committed ahead of it cannot be in it"
                raise DatabaseMisuse(msg)
            opening, scope.opening = scope.opening, None
            try:
                return self.transact(function)
            finally:
                scope.opening = opening

    @property
    def is_in_transaction(self) -> bool:
        """Whether what is written here is part of a transaction, whose end decides about it."""
        scope = self._current()
        return scope is not None and (scope.transaction or scope.opening) is not None

    def after_commit(self, callback: Callback) -> None:
        """Call this once the current transaction is committed; forget it if it is undone.

        An error in it is logged and reaches nobody: what was committed stays committed.
        """
        self._require_transaction().callbacks.append(callback)

    def touch(self, row: object, *columns: str) -> None:
        """Say that a statement has changed columns of a row, as the session cannot see.

        Whoever watches rows (a cache) learns of it as of a row that was changed as an object.
        """
        self._require_transaction()
        for listener in self._touch_listeners:
            listener(row, frozenset(columns))

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Undo what the block did if it fails, so that the transaction can go on without it."""
        transaction = self._require_transaction()
        callbacks = len(transaction.callbacks)
        try:
            with self.session.begin_nested():
                yield
        except BaseException:
            del transaction.callbacks[callbacks:]
            transaction.forgive()
            raise

    def _require_transaction(self) -> Transaction:
        transaction = self._required().transaction
        if transaction is None:
            msg = (
                "this writes outside of a transaction, and nobody would commit it: decorate the"
                " service's method with @transactional, or use database.transact()"
            )
            raise DatabaseMisuse(msg)
        return transaction

    def _join(self, transaction: Transaction, function: Callable[[Session], R]) -> R:
        try:
            return function(self.session)
        except BaseException as error:
            transaction.failure = transaction.failure or error
            raise

    def _attempt(self, scope: _Scope, function: Callable[[Session], R]) -> R:
        session, transaction = self._prepare(), Transaction()
        with self._write_lock:
            session.connection(execution_options={WRITES: True})
            scope.transaction = transaction
            try:
                result = transaction.run(session, function)
            finally:
                scope.transaction = None
        transaction.call_back()
        return result

    def _attempt_late(
        self,
        scope: _Scope,
        function: Callable[[], R],
        first: Callable[[Session], object],
        last: Callable[[R], object],
    ) -> R:
        transaction = Transaction()

        def begin() -> None:
            scope.opening = None
            session = self._prepare()
            lock.enter_context(self._write_lock)
            session.connection(execution_options={WRITES: True})
            scope.transaction = transaction
            self._join(transaction, first)

        def run(_: Session) -> R:
            result = function()
            if scope.opening is not None:
                begin()
            last(result)
            return result

        with ExitStack() as lock:
            scope.opening = begin
            try:
                result = transaction.run(self.session, run)
            finally:
                scope.opening = scope.transaction = None
        transaction.call_back()
        return result

    def _prepare(self) -> Session:
        """Start from fresh rows: what was read before decided nothing yet."""
        session = self.session
        if session.new or session.deleted or any(map(session.is_modified, session.dirty)):
            msg = "objects were changed before the transaction began: change them inside it"
            raise DatabaseMisuse(msg)
        session.rollback()
        session.expire_all()
        return session

    def _new_write_lock(self) -> AbstractContextManager[None]:
        return WriteLock(self._timeout) if self._settings.is_sqlite else nullcontext()

    def _count_retry(self) -> None:
        self.retries += 1

    def _note_failure(self, context: ExceptionContext) -> None:
        # The server has undone the transaction: going on would commit its second half alone.
        error, scope = context.sqlalchemy_exception, self._current()
        if is_hang(context.original_exception):
            # Not even a ping or a new connection was answered; else it may be one slow statement.
            if context.is_pre_ping or context.connection is None:
                self._breaker.note_failure("it hangs")
            else:
                self._breaker.suspect()
        if error and scope and scope.transaction and is_retryable(error):
            scope.transaction.failure = error

    def _limit_read(  # SQLAlchemy's signature
        self,
        connection: Connection,
        _cursor: object,
        statement: str,
        parameters: object,
        *_: object,
    ) -> tuple[str, object]:
        scope = self._current()
        if scope is not None and scope.read_limit and scope.transaction is None:
            statement = limit_statement(connection, statement, scope.read_limit)
        return statement, parameters

    # Operations

    def ping(self) -> float:
        """Return the seconds that one query takes, on a connection kept for nothing else.

        Raises:
            DatabaseHangs: It is known not to answer.
            sqlalchemy.exc.DBAPIError: The database is down, or frozen for `PING_TIMEOUT`.
        """
        self._refuse_to_hang()
        return self._ask()

    def _new_breaker(self) -> CircuitBreaker:
        return CircuitBreaker("database", self._answers, tolerated=1)

    def _refuse_to_hang(self) -> None:
        if self._breaker.is_open:
            raise DatabaseHangs("the database hangs; it is pinged in the background")

    def _answers(self) -> bool:
        try:
            self._ask()
        except DBAPIError as error:
            # A server that refuses at once (it restarts, say) does not hang: each may find out.
            return not is_hang(error)
        return True

    def _ask(self) -> float:
        start = time.monotonic()
        with self._ping_engine.connect() as connection:
            connection.execute(text("SELECT 1"))
        return time.monotonic() - start

    def migration_engine(self, patience: float) -> Engine:
        """Return an engine for changing the schema: a connection for each use, no statement limit.

        Args:
            patience: Seconds to wait for another migration. A table that is in use is given up
                after the usual lock time-out, since everybody else queues behind the waiting one.
        """
        lock = patience if self._settings.is_sqlite else self._settings.database_timeout
        limits = Limits(connect=self._settings.database_timeout, lock=lock, statement=None)
        return build_engine(self._settings, replace(limits, foreign_keys=False, writes=True))

    def close(self) -> None:
        """Close the connections that are not in use. A later use opens new ones."""
        self.engine.dispose()
        self._ping_engine.dispose()

    def dispose_after_fork(self) -> None:
        """Forget the parent's connections without closing them; done in every forked child."""
        self.engine.dispose(close=False)
        self._ping_engine.dispose(close=False)
        self._scope.set(None)
        self._breaker = self._new_breaker()  # the thread that pinged is the parent's
        self._write_lock = self._new_write_lock()  # a lost thread may hold it


_databases: WeakSet[Database] = WeakSet()


def _forget_connections() -> None:
    for database in _databases:
        database.dispose_after_fork()


if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
    os.register_at_fork(after_in_child=_forget_connections)
