from __future__ import annotations

import threading
import time
from functools import partial

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session
from sqlalchemy.orm.exc import StaleDataError
from structlog.testing import capture_logs

from strongback.database import (
    Database,
    DatabaseMisuse,
    is_retryable,
    is_transient,
)
from strongback.testing import empty
from tests.support.account import Account, AccountService, Note, Sandbox
from tests.support.thread import run_together

pytestmark = pytest.mark.speaks_sql

THREADS = 8


def count(database: Database) -> int:
    with database.scope():
        return database.session.scalar(select(func.count()).select_from(Account)) or 0


class TestAfterCommit:
    def test_runs_after_the_commit(self, database, service):
        seen: list[int] = []

        def write(session: Session) -> None:
            service.open("ann")
            database.after_commit(lambda: seen.extend(run_together(partial(count, database))))
            session.flush()
            assert seen == []

        database.transact(write)
        assert seen == [1]

    def test_is_dropped_on_rollback_and_on_a_second_run(self, database, service):
        called: list[int] = []
        runs: list[int] = []

        def write(session: Session) -> None:
            runs.append(1)
            number = len(runs)
            database.after_commit(lambda: called.append(number))
            if number == 1:
                raise StaleDataError

        database.transact(write)
        assert called == [2]

    def test_error_is_logged_and_stops_nobody(self, database, service):
        called: list[str] = []

        def write(session: Session) -> str:
            database.after_commit(lambda: 1 / 0)
            database.after_commit(lambda: called.append("second"))
            return "done"

        with capture_logs() as events:
            assert database.transact(write) == "done"
        assert called == ["second"]
        assert [event["event"] for event in events] == ["after_commit_failed"]

    def test_may_write_in_a_transaction_of_its_own(self, database, service):
        database.transact(lambda _: database.after_commit(lambda: service.open("ann")))
        assert count(database) == 1

    def test_outside_is_refused(self, database):
        with database.scope(), pytest.raises(DatabaseMisuse, match="@transactional"):
            database.after_commit(lambda: None)


class TestConcurrency:
    def test_no_write_is_lost_or_locked_out(self, database, service):
        """Eight threads read, change and write one row, 25 times each."""
        service.open("ann")

        def deposit_often() -> None:
            for _ in range(25):
                while True:
                    try:
                        service.deposit("ann", 1)
                    except StaleDataError:  # five collisions in a row: the caller's 409
                        continue
                    break

        # Fewer connections than threads: waiting for one is part of it.
        run_together(*[deposit_often] * THREADS)
        with database.scope():
            assert service.find("ann").amount == THREADS * 25

    def test_sqlite_writers_wait_for_each_other(self, settings):
        database = Database(settings)
        empty(database, Sandbox.metadata)
        service = AccountService(database)

        def open_many(thread: int) -> None:
            for number in range(50):
                service.open(f"{thread}-{number}")

        run_together(*(partial(open_many, thread) for thread in range(THREADS)))
        assert (count(database), database.retries) == (THREADS * 50, 0)
        database.close()

    def test_deadlock_is_run_again(self, mysql):
        service = AccountService(mysql)
        service.open_two("ann", "bob")
        both_hold_one = threading.Barrier(2)

        def move(first: str, second: str) -> int:
            runs: list[int] = []

            def run(session: Session) -> None:
                runs.append(1)
                _deposit_by_statement(session, first)
                if len(runs) == 1:
                    both_hold_one.wait(10)
                _deposit_by_statement(session, second)

            mysql.transact(run)
            return len(runs)

        runs = run_together(partial(move, "ann", "bob"), partial(move, "bob", "ann"))
        assert sorted(runs) == [1, 2]
        with mysql.scope():
            assert [service.find("ann").amount, service.find("bob").amount] == [2, 2]

    @pytest.mark.parametrize("reaction", [lambda s: s.add(Note(body="half")), lambda s: 1 / 0])
    def test_deadlock_that_is_caught_is_run_again_all_the_same(self, mysql, reaction):
        """The server undoes the first half; committing the second alone would be a lie."""
        service = AccountService(mysql)
        service.open_two("ann", "bob")
        both_hold_one = threading.Barrier(2)

        def move(first: str, second: str) -> None:
            runs: list[int] = []

            def run(session: Session) -> None:
                runs.append(1)
                _deposit_by_statement(session, first)
                if len(runs) == 1:
                    both_hold_one.wait(10)
                try:
                    _deposit_by_statement(session, second)
                except DBAPIError:
                    reaction(session)

            mysql.transact(run)

        run_together(partial(move, "ann", "bob"), partial(move, "bob", "ann"))
        with mysql.scope():
            assert mysql.session.scalar(select(func.count()).select_from(Note)) == 0
            assert [service.find("ann").amount, service.find("bob").amount] == [2, 2]

    def test_lock_wait_ends_in_a_transient_error(self, database, service):
        service.open("ann")
        held, done = threading.Event(), threading.Event()

        def hold(session: Session) -> None:
            _deposit_by_statement(session, "ann")
            held.set()
            done.wait(30)

        def wait() -> float:
            held.wait(10)
            start = time.monotonic()
            try:
                with pytest.raises(DBAPIError) as caught:
                    database.transact(partial(_write_and_wait))
            finally:
                done.set()
            assert is_transient(caught.value)
            assert is_retryable(caught.value)
            return time.monotonic() - start

        def _write_and_wait(session: Session) -> None:
            session.add(Note(body="half"))
            session.flush()
            _deposit_by_statement(session, "ann")

        _, waited = run_together(partial(database.transact, hold), wait)
        assert 1 < waited < 15  # a time-out; for ever without
        with database.scope():
            assert database.session.scalar(select(func.count()).select_from(Note)) == 0


def _deposit_by_statement(session: Session, name: str) -> None:
    session.execute(update(Account).where(Account.name == name).values(amount=Account.amount + 1))
