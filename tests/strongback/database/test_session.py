from __future__ import annotations

import gc
import os
import threading
import weakref
from contextvars import copy_context
from functools import partial

import pytest
from sqlalchemy import func, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from sqlalchemy.orm.exc import StaleDataError
from structlog.testing import capture_logs

from strongback.database import (
    Database,
    DatabaseMisuse,
    transactional,
)
from tests.support.account import Account, AccountService
from tests.support.thread import run_together

pytestmark = pytest.mark.speaks_sql

THREADS = 8


def count(database: Database) -> int:
    with database.scope():
        return database.session.scalar(select(func.count()).select_from(Account)) or 0


class TestScope:
    def test_session_without_scope_names_the_remedy(self, database):
        with pytest.raises(DatabaseMisuse, match=r"with database\.scope\(\)"):
            _ = database.session

    def test_scope_inside_a_scope_joins_it(self, database):
        with database.scope():
            outer = database.session
            with database.scope():
                assert database.session is outer
            assert database.session is outer

    def test_end_gives_the_connection_back(self, database, service):
        with database.scope():
            database.session.execute(text("SELECT 1"))
            assert database.engine.pool.checkedout() == 1
        assert database.engine.pool.checkedout() == 0

    def test_each_thread_has_its_own_session(self, database):
        both_open = threading.Barrier(2)

        def session_id() -> int:
            with database.scope():
                session = database.session
                both_open.wait(10)
                return id(session)

        first, second = run_together(session_id, session_id)
        assert first != second

    def test_context_copied_into_a_thread_does_not_share_the_session(self, database):
        with database.scope():
            _ = database.session
            context = copy_context()

            def use() -> None:
                with pytest.raises(DatabaseMisuse):
                    _ = database.session

            run_together(partial(context.run, use))

    def test_object_stays_readable_after_commit_and_scope(self, service):
        assert service.open("ann", 3).amount == 3

    def test_read_does_not_take_the_write_lock(self, database, service):
        service.open("ann")
        with database.scope():
            service.find("ann")  # its read transaction is still open
            run_together(partial(service.deposit, "ann", 5))

    # Python 3.12 warns of threads that may hold a lock; those of the test runner hold none of ours.
    @pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
    @pytest.mark.usefixtures("starts_processes")
    def test_forked_child_opens_connections_of_its_own(self, database, service):
        service.open("ann")
        read_end, write_end = os.pipe()
        child = os.fork()
        if child == 0:  # nothing of pytest may run here
            try:
                service.deposit("ann", 1)
                os.write(write_end, str(database.engine.pool.checkedin()).encode())
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        os.close(write_end)
        with os.fdopen(read_end) as pipe:
            assert pipe.read() == "1"
        assert service.deposit("ann", 1) == 2


class TestTransaction:
    def test_error_undoes_everything(self, database, service):
        def fail(session: Session) -> None:
            service.open("ann")
            session.flush()
            raise LookupError

        with pytest.raises(LookupError):
            database.transact(fail)
        assert count(database) == 0

    def test_nested_call_joins(self, database, service):
        with pytest.raises(IntegrityError):
            service.open_two("ann", "ann")
        assert count(database) == 0
        service.open_two("ann", "bob")
        assert count(database) == 2

    def test_nested_failure_that_is_caught_fails_the_whole(self, database, service):
        def swallow(session: Session) -> None:
            service.open("ann")
            with pytest.raises(Exception, match="No row"):
                service.deposit("nobody", 1)

        with pytest.raises(DatabaseMisuse, match="savepoint"):
            database.transact(swallow)
        assert count(database) == 0

    def test_savepoint_lets_the_transaction_go_on(self, database, service):
        called: list[str] = []

        def open_again(session: Session) -> None:
            with database.savepoint():
                database.after_commit(lambda: called.append("undone"))
                service.open("ann")
                session.flush()

        def skip(session: Session) -> None:
            service.open("ann")
            with pytest.raises(IntegrityError):
                open_again(session)
            service.open("bob")

        database.transact(skip)
        assert (count(database), called) == (2, [])

    def test_transaction_sees_rows_as_they_are_when_it_begins(self, database, service):
        service.open("ann", 1)
        with database.scope():
            assert service.find("ann").amount == 1
            run_together(partial(service.deposit, "ann", 10))
            assert service.deposit("ann", 100) == 111

    def test_write_outside_is_refused(self, database, service):
        service.open("ann")
        with database.scope():
            with pytest.raises(DatabaseMisuse, match="@transactional"):
                database.session.execute(update(Account).values(amount=1))
            service.find("ann").amount = 5
            with pytest.raises(DatabaseMisuse, match="@transactional"):
                database.session.flush()
            with pytest.raises(DatabaseMisuse, match="before the transaction"):
                service.deposit("ann", 1)
        with database.scope():
            assert service.find("ann").amount == 0

    def test_decorator_refuses_a_coroutine(self):
        async def later(self: AccountService) -> None: ...

        with pytest.raises(TypeError, match="later"):
            transactional(later)

    def test_stale_version_is_decided_again_on_the_new_row(self, database, service):
        service.open("ann", 1)
        runs: list[int] = []

        def deposit(session: Session) -> None:
            account = service.find("ann")
            runs.append(account.amount)
            if len(runs) == 1:  # somebody else changes it between our read and our write
                session.execute(
                    update(Account)
                    .values(amount=50, version=Account.version + 1)
                    .execution_options(synchronize_session=False)
                )
            account.amount += 1

        database.transact(deposit)
        assert (len(runs), database.retries) == (2, 1)

    def test_gives_up_after_five_runs(self, database):
        runs: list[int] = []

        def lose(session: Session) -> None:
            runs.append(1)
            raise StaleDataError

        with capture_logs() as events, pytest.raises(StaleDataError):
            database.transact(lose)
        assert len(runs) == 5
        assert [event["event"] for event in events] == ["transaction_retried"] * 4
        assert [event["attempt"] for event in events] == [1, 2, 3, 4]


class TestLateTransaction:
    def test_begins_with_the_first_write(self, database, service):
        """What is done before holds up nobody."""
        service.open("ann", 1)

        def work() -> int:
            run_together(partial(service.open, "bob"))
            amount: int = service.open("eve", 2).amount
            return amount

        states: list[bool] = []
        result = database.transact_late(
            work,
            first=lambda _: states.append(count_of_others(database) == 2),
            last=states.append,
        )
        assert (result, states, count(database)) == (2, [True, 2], 3)

    def test_is_one_for_all_writes(self, database, service):
        def work() -> None:
            service.open("ann")
            service.open("bob")
            raise ValueError

        with pytest.raises(ValueError):  # noqa: PT011  the one of the line above
            database.transact_late(work, first=lambda _: None, last=lambda _: None)
        assert count(database) == 0

    def test_begins_at_the_end_where_nothing_is_written(self, database, service):
        steps: list[str] = []
        database.transact_late(
            lambda: steps.append("work"),
            first=lambda _: steps.append("first"),
            last=lambda _: steps.append("last"),
        )
        assert steps == ["work", "first", "last"]

    def test_what_it_is_part_of_decides_before_it_begins(self, database):
        seen: list[bool] = []
        database.transact_late(
            lambda: seen.append(database.is_in_transaction),
            first=lambda _: None,
            last=lambda _: None,
        )
        assert seen == [True]

    def test_runs_again_from_the_start_after_a_stale_version(self, database, service):
        runs: list[int] = []

        def work() -> None:
            runs.append(len(runs))
            database.transact(fail_once)

        def fail_once(_: Session) -> None:
            if len(runs) == 1:
                raise StaleDataError

        database.transact_late(work, first=lambda _: None, last=lambda _: None)
        assert runs == [0, 1]

    def test_what_goes_ahead_of_it_is_committed_whatever_becomes_of_it(self, database, service):
        def work() -> None:
            database.transact_ahead(lambda _: service.open("ann"))
            service.open("bob")
            raise ValueError

        with pytest.raises(ValueError):  # noqa: PT011  the one of the line above
            database.transact_late(work, first=lambda _: None, last=lambda _: None)
        assert count(database) == 1

    def test_nothing_goes_ahead_of_what_has_begun(self, database, service):
        def work() -> None:
            service.open("ann")
            database.transact_ahead(lambda _: service.open("bob"))

        with pytest.raises(DatabaseMisuse, match="transaction is open"):
            database.transact_late(work, first=lambda _: None, last=lambda _: None)
        assert count(database) == 0

    def test_is_refused_inside_a_transaction(self, database):
        def late(_: Session) -> None:
            database.transact_late(lambda: None, first=lambda _: None, last=lambda _: None)

        with pytest.raises(DatabaseMisuse, match="transaction is open"):
            database.transact(late)

    def test_after_its_end_writes_are_transactions_of_their_own(self, database, service):
        database.transact_late(lambda: None, first=lambda _: None, last=lambda _: None)
        with database.scope():
            assert not database.is_in_transaction
            service.open("ann")
        assert count(database) == 1


def count_of_others(database: Database) -> int:
    return database.session.scalar(select(func.count()).select_from(Account)) or 0


def test_a_database_that_nobody_holds_is_gone(settings):
    """Tests make thousands: what listened to one must not keep it."""
    database = Database(settings)
    database.listen("after_flush", Listener(database).note)
    Account.metadata.create_all(database.engine)
    database.transact(lambda session: session.add(Account(name="ann")))
    database.close()
    gone = weakref.ref(database)
    del database
    gc.collect()
    assert gone() is None


class Listener:
    """Holds the database to which it listens, as a cache does."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def note(self, *_: object) -> None: ...
