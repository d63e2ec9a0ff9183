"""Session scopes and transactions, and `@transactional`."""

from __future__ import annotations

import functools
import inspect
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Concatenate, ParamSpec, Protocol, TypeVar
from weakref import ref

from sqlalchemy import Connection, Engine, event, text
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import ORMExecuteState, Session, sessionmaker

from strongback.circuit_breaker import CircuitBreaker
from strongback.config import Settings
from strongback.database.database_error import DatabaseHangs, DatabaseMisuse, is_hang, is_retryable
from strongback.database.engine import WRITES, Limits, build_engine, limit_statement
from strongback.database.transaction import Transaction, retry, roll_back
from strongback.database.write_lock import WriteLock
from strongback.fork import reset_in_children

PING_TIMEOUT = 2.0
"""Time-out of a ping in seconds."""

P = ParamSpec("P")
R = TypeVar("R")
Callback = Callable[[], object]


@dataclass(slots=True)
class _Scope:
    """The unit of work of a thread."""

    thread: int
    read_limit: float | None = None
    session: Session | None = None
    transaction: Transaction | None = None
    opening: Callback | None = None
    """Begins the transaction at the first write; see `transact_late`."""


class _ScopeContext(AbstractContextManager[None]):
    """Opens a scope; a class, because a generator costs each request 2 µs more."""

    __slots__ = ("_read_limit", "_token", "_variable")

    def __init__(self, variable: ContextVar[_Scope | None], read_limit: float | None) -> None:
        self._variable = variable
        self._read_limit = read_limit

    def __enter__(self) -> None:
        self._token = self._variable.set(_Scope(threading.get_ident(), self._read_limit))

    def __exit__(self, *_: object) -> None:
        scope = self._variable.get()
        self._variable.reset(self._token)
        if scope is not None and scope.session is not None:
            roll_back(scope.session)
            scope.session.close()


class Database:
    """The engine, and the session of the current scope.

    Args:
        settings: Address, pool size and time-outs. It connects at the first use.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._timeout = settings.database_timeout
        self._scope: ContextVar[_Scope | None] = ContextVar("database_scope", default=None)
        self.engine = build_engine(settings, Limits.of(settings))
        self._ping_engine = build_engine(
            settings, Limits(connect=PING_TIMEOUT, lock=1, statement=PING_TIMEOUT - 1, pool_size=1)
        )
        self._breaker = self._new_breaker()
        self._write_lock = self._new_write_lock()
        self._touch_listeners: list[Callable[[object, frozenset[str]], object]] = []
        self.retries = 0
        """Number of retried transactions since the start, for the metrics."""
        # Objects stay loaded after the commit, so that a view needs no second query.
        self._sessions = sessionmaker(self.engine, expire_on_commit=False)
        self._listeners: list[Callable[..., object]] = []
        self.listen("before_flush", lambda *_: self._require_transaction())
        self.listen("do_orm_execute", self._refuse_statement)
        for engine in (self.engine, self._ping_engine):
            self._listen(engine, "handle_error", self._note_failure)
        event.listen(self.engine, "before_cursor_execute", self._limit_read, retval=True)
        reset_in_children(self)

    def listen(self, name: str, listener: Callable[..., object]) -> None:
        """Listen to an event of all sessions; see SQLAlchemy's `SessionEvents`."""
        self._listen(self._sessions, name, listener)

    def _listen(self, target: object, name: str, listener: Callable[..., object]) -> None:
        self._listeners.append(listener)
        event.listen(target, name, _weak(listener))

    def listen_to_touches(self, listener: Callable[[object, frozenset[str]], object]) -> None:
        """Call a listener with each touched row and its columns, in the transaction."""
        self._touch_listeners.append(listener)

    # Scopes

    def scope(self, read_limit: float | None = None) -> AbstractContextManager[None]:
        """Open a unit of work, with one session that is closed at the end.

        A scope inside a scope joins it: a second session would hold a second connection, so that a
        full pool waits for itself, and on SQLite a second writer would wait for the first.

        Args:
            read_limit: Time-out in seconds for statements outside of transactions, for requests.
        """
        if self._current() is None:
            return _ScopeContext(self._scope, read_limit)
        return nullcontext()

    @property
    def session(self) -> Session:
        """The session of the current scope; writing needs a transaction, reading does not.

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
        """Open a separate session that sees the latest commits; for filling caches.

        A transaction sees the rows as of its first read, which is too old for a value that others
        get from a cache.
        """
        self._refuse_to_hang()
        scope = self._current()
        if scope is not None and scope.session is not None and scope.transaction is None:
            scope.session.commit()  # returns its connection, so that one is enough
        with self._sessions() as session:
            yield session

    def _current(self) -> _Scope | None:
        scope = self._scope.get()
        # A context copied to another thread has the scope, but a session is for one thread.
        return scope if scope is not None and scope.thread == threading.get_ident() else None

    def _required(self) -> _Scope:
        scope = self._current()
        if scope is None:
            raise DatabaseMisuse(
                "no database scope is open in this thread: requests, tasks and commands open one;"
                " elsewhere write `with database.scope():` around the code"
            )
        return scope

    def _refuse_statement(self, state: ORMExecuteState) -> None:
        if state.is_insert or state.is_update or state.is_delete:
            self._require_transaction()

    # Transactions

    def transact(self, function: Callable[[Session], R]) -> R:
        """Run a function in a transaction and commit, or roll back and raise.

        After a deadlock, a lock time-out or a stale version the transaction is rolled back and the
        function runs again from its start: other effects that must not be repeated belong in
        `after_commit`. Opens a scope if none is open.

        A call inside a transaction joins it, and is not run again by itself. If it fails, the whole
        transaction fails, even if the error is caught in between; see `savepoint`.
        """
        with self.scope():
            scope = self._required()
            if scope.opening is not None:
                scope.opening()
            if scope.transaction is not None:
                return self._join(scope.transaction, function)
            return self._retry(lambda: self._attempt(scope, function))

    def transact_late(
        self,
        function: Callable[[], R],
        *,
        first: Callable[[Session], object],
        last: Callable[[R], object],
    ) -> R:
        """Run a function whose writes are one transaction, which begins at the first write.

        The function's work before its first call of `transact` holds no lock, however slow it is.
        After a deadlock the function runs again from its start, as in `transact`.

        Args:
            function: The function.
            first: Called at the start of the transaction.
            last: Called with the result at the end of the transaction.

        Raises:
            DatabaseMisuse: A transaction is open already.
        """
        with self.scope():
            scope = self._required()
            if self.is_in_transaction:
                raise DatabaseMisuse("a transaction is open, so none can begin at the first write")
            return self._retry(lambda: self._attempt_late(scope, function, first, last))

    def transact_ahead(self, function: Callable[[Session], R]) -> R:
        """Run and commit a transaction of its own inside `transact_late`, before its first write.

        For large writes in small steps, which do no harm if the later transaction is rolled back.

        Raises:
            DatabaseMisuse: A transaction is open, which this would join.
        """
        with self.scope():
            scope = self._required()
            if scope.transaction is not None:
                raise DatabaseMisuse("a transaction is open: call this before the first write")
            opening, scope.opening = scope.opening, None
            try:
                return self.transact(function)
            finally:
                scope.opening = opening

    @property
    def is_in_transaction(self) -> bool:
        """Whether a transaction is open, or begins at the next write."""
        scope = self._current()
        return scope is not None and (scope.transaction or scope.opening) is not None

    def after_commit(self, callback: Callback) -> None:
        """Call a function after the commit of the current transaction; not after a rollback.

        An exception in it is logged and has no other effect.
        """
        self._require_transaction().callbacks.append(callback)

    def touch(self, row: object, *columns: str) -> None:
        """Report that a statement has changed columns of a row, which the session cannot see.

        Listeners, such as a cache, treat it like a change of the object.
        """
        self._require_transaction()
        for listener in self._touch_listeners:
            listener(row, frozenset(columns))

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Roll back the block alone if it fails, so that the transaction can continue."""
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
            raise DatabaseMisuse(
                "this writes outside of a transaction, which would not be committed: decorate the"
                " service's method with @transactional, or use database.transact()"
            )
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
        """Expire all objects, so that the transaction reads current rows."""
        session = self.session
        if session.new or session.deleted or any(map(session.is_modified, session.dirty)):
            msg = "objects were changed before the transaction began: change them inside it"
            raise DatabaseMisuse(msg)
        session.rollback()
        session.expire_all()
        return session

    def _new_write_lock(self) -> AbstractContextManager[None]:
        return WriteLock(self._timeout) if self._settings.is_sqlite else nullcontext()

    def _retry(self, attempt: Callable[[], R]) -> R:
        def note() -> None:
            self.retries += 1

        return retry(attempt, self._timeout, note)

    def _note_failure(self, context: ExceptionContext) -> None:
        # The server has rolled back: continuing would commit the second half alone.
        error, scope = context.sqlalchemy_exception, self._current()
        if is_hang(context.original_exception):
            # Not even a ping or a new connection was answered; else it may be one slow statement.
            if context.is_pre_ping or context.connection is None:
                self._breaker.note_failure("it hangs")
            else:
                self._breaker.suspect()
        if error and scope and scope.transaction and is_retryable(error):
            scope.transaction.failure = error

    def _limit_read(
        self, connection: Connection, _: object, statement: str, parameters: object, *__: object
    ) -> tuple[str, object]:
        scope = self._current()
        if scope is not None and scope.read_limit and scope.transaction is None:
            statement = limit_statement(connection, statement, scope.read_limit)
        return statement, parameters

    # Operations

    def ping(self) -> float:
        """Return the duration of a query in seconds, on a connection of its own.

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
        """Return an engine for migrations: a connection for each use, no statement time-out.

        Args:
            patience: Seconds to wait for another migration. A table in use is waited for no longer
                than usual, since all other statements queue behind a waiting migration.
        """
        lock = patience if self._settings.is_sqlite else self._settings.database_timeout
        limits = Limits(connect=self._settings.database_timeout, lock=lock, statement=None)
        return build_engine(self._settings, limits)

    def close(self) -> None:
        """Close idle connections, and end the thread that pings. A later use opens new ones."""
        self._breaker.close()
        self._breaker = self._new_breaker()
        self.engine.dispose()
        self._ping_engine.dispose()

    def reset_after_fork(self) -> None:
        """Drop the parent's connections without closing them; called in every forked child."""
        self.engine.dispose(close=False)
        self._ping_engine.dispose(close=False)
        self._scope.set(None)
        self._breaker = self._new_breaker()  # the thread that pinged is the parent's
        self._write_lock = self._new_write_lock()  # a lost thread may hold it


def _weak(listener: Callable[..., object]) -> Callable[..., None]:
    """Call a listener for as long as its database is there.

    SQLAlchemy holds the listeners of a class of sessions, and by the statements that a mapper has
    compiled those of a dialect. A listener holds the database, which would never go.
    """
    held = ref(listener)

    def call(*arguments: object) -> None:
        if (found := held()) is not None:
            found(*arguments)

    return call


# The decorator


class HasDatabase(Protocol):
    """An object with a database, such as a service."""

    @property
    def database(self) -> Database:
        """The database of its transactions."""
        ...


S = TypeVar("S", bound=HasDatabase)


def transactional(method: Callable[Concatenate[S, P], R]) -> Callable[Concatenate[S, P], R]:
    """Run a service's method in one transaction of `self.database`; see `Database.transact`."""
    if inspect.iscoroutinefunction(method) or inspect.isgeneratorfunction(method):
        msg = f"{method.__qualname__}: a transaction ends before a coroutine or generator runs"
        raise TypeError(msg)

    @functools.wraps(method)
    def run(self: S, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.database.transact(lambda _: method(self, *args, **kwargs))

    return run
