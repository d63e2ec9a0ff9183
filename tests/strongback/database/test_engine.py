from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from sqlalchemy import event, func, inspect, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from strongback.database import (
    Database,
    is_duplicate,
    is_retryable,
    is_transient,
)
from strongback.database.database_error import DatabaseHangs, is_hang
from strongback.exceptions import ConfigurationError
from strongback.testing.mariadb import OwnMariaDB
from strongback.testing.port import free_port
from tests.support.account import Account, AccountService

pytestmark = pytest.mark.speaks_sql

THREADS = 8
BOUND = 15
"""Seconds: a limit is 1 or 2, a busy machine needs more, and without one it is 30 or for ever."""


def count(database: Database) -> int:
    with database.scope():
        return database.session.scalar(select(func.count()).select_from(Account)) or 0


_DIGITS = f"({' UNION ALL '.join(f'SELECT {digit} AS i' for digit in range(10))})"
_TABLES = ", ".join(f"{_DIGITS} AS t{number}" for number in range(12))
ENDLESS = {
    "sqlite": "SELECT count(*) FROM (WITH RECURSIVE n(i) AS (SELECT 1 AS i UNION ALL"
    " SELECT i + 1 FROM n WHERE i < 900000000) SELECT i FROM n) AS m",
    # Not of information_schema: while MariaDB fills such a table, the end of the time is a warning.
    "mysql": f"SELECT count(*) FROM {_TABLES} WHERE sqrt(t0.i + t11.i) < 0",  # noqa: S608  digits
}
"""Statements that do not end, but for their limit."""


def wait_until_answered(database: Database) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            count(database)
        except SQLAlchemyError:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        else:
            return


class TestFailure:
    @pytest.fixture
    def hasty(self, database, settings) -> Iterator[Database]:
        """The database with limits of a second."""
        url = database.engine.url.render_as_string(hide_password=False)
        changes = {"database_url": url, "database_timeout": 1, "database_query_timeout": 1}
        hasty = Database(settings.model_copy(update=changes))
        hasty.engine.connect().close()  # the dialect knows MariaDB from MySQL now
        yield hasty
        hasty.close()

    def test_full_pool_is_a_transient_error_in_time(self, hasty, settings):
        with ExitStack() as stack:
            for _ in range(settings.database_pool_size):
                stack.enter_context(hasty.engine.connect())
            start = time.monotonic()
            with pytest.raises(PoolTimeout) as caught, hasty.scope():
                hasty.session.execute(text("SELECT 1"))
        assert is_transient(caught.value)
        assert 0.9 < time.monotonic() - start < BOUND

    def test_long_statement_is_cut_short(self, hasty):
        endless = """
            WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 900000000)
            SELECT count(*) FROM n"""
        start = time.monotonic()
        with hasty.scope():
            if hasty.engine.dialect.name == "mysql":
                is_mariadb = hasty.engine.dialect.is_mariadb
                limit = "max_recursive_iterations" if is_mariadb else "cte_max_recursion_depth"
                hasty.session.execute(text(f"SET {limit} = 4000000000"))
            with pytest.raises(DBAPIError) as caught:
                hasty.session.execute(text(endless))
        assert is_transient(caught.value)
        assert 0.9 < time.monotonic() - start < BOUND
        hasty.ping()

    def test_a_read_of_a_request_is_cut_short_sooner(self, database, settings):
        """It has a limit of its own, a tenth of that of the connection."""
        patient = Database(
            settings.model_copy(
                update={
                    "database_url": database.engine.url.render_as_string(hide_password=False),
                    "database_query_timeout": 600,
                }
            )
        )
        with patient.scope(read_limit=0.5), pytest.raises(DBAPIError) as caught:
            patient.session.execute(text(ENDLESS[patient.engine.dialect.name]))
        assert is_transient(caught.value)
        with patient.scope(read_limit=30):
            assert patient.session.scalar(text("SELECT 1")) == 1
        patient.close()

    def test_what_writes_keeps_the_longer_limit(self, database):
        database.transact(lambda session: session.execute(text("SELECT 1")))
        with database.scope(read_limit=0.000_001):
            assert database.transact(lambda session: session.scalar(text("SELECT 1"))) == 1

    def test_killed_connection_is_replaced(self, mysql, mariadb_server):
        with mysql.scope():
            killed = mysql.session.scalar(text("SELECT CONNECTION_ID()"))
        mariadb_server.execute(f"KILL CONNECTION {killed}")
        with mysql.scope():
            assert mysql.session.scalar(text("SELECT CONNECTION_ID()")) != killed

    def test_connection_killed_in_a_transaction_is_transient_and_the_scope_survives(
        self, mysql, mariadb_server
    ):
        service = AccountService(mysql)

        def lose(session: Session) -> None:
            service.open("ann")
            session.flush()
            killed = session.scalar(text("SELECT CONNECTION_ID()"))
            mariadb_server.execute(f"KILL CONNECTION {killed}")
            service.open("bob")
            session.flush()

        with mysql.scope():
            with pytest.raises(DBAPIError) as caught:
                mysql.transact(lose)
            assert is_transient(caught.value)
            service.open("cid")
        assert count(mysql) == 1

    def test_connection_killed_in_a_read_does_not_break_the_end_of_the_scope(
        self, mysql, mariadb_server
    ):
        with mysql.scope():
            killed = mysql.session.scalar(text("SELECT CONNECTION_ID()"))
            mariadb_server.execute(f"KILL CONNECTION {killed}")
        assert count(mysql) == 0

    def test_refused_connection_is_transient(self, settings):
        url = f"mysql+pymysql://root@127.0.0.1:{free_port()}/nothing"
        database = Database(settings.model_copy(update={"database_url": url}))
        with pytest.raises(DBAPIError) as caught:
            count(database)
        assert is_transient(caught.value)

    @pytest.mark.parametrize(
        "wrong",
        [
            {"username": "nobody-of-this-name", "password": "wrong"},
            {"database": "no_database_of_this_name"},
            {"host": "no-such-host.invalid"},
        ],
    )
    def test_credentials_or_a_place_that_are_being_changed_are_transient(
        self, settings, mariadb_server, wrong
    ):
        """A password is changed here and there one after the other: the request is not at fault."""
        url = mariadb_server.address.set(**wrong).render_as_string(hide_password=False)
        database = Database(settings.model_copy(update={"database_url": url}))
        with pytest.raises(DBAPIError) as caught:
            count(database)
        assert is_transient(caught.value)

    def test_port_that_never_greets_is_bounded(self, settings):
        with socket.create_server(("127.0.0.1", 0)) as silent:
            url = f"mysql+pymysql://root@127.0.0.1:{silent.getsockname()[1]}/nothing"
            changes = {"database_url": url, "database_timeout": 1}
            database = Database(settings.model_copy(update=changes))
            with pytest.raises(DBAPIError) as caught:
                database.ping()
            database.close()  # which also ends the pings in the background
        assert is_transient(caught.value)
        assert "database-breaker" not in {thread.name for thread in threading.enumerate()}

    def test_duplicate_is_recognised_and_is_not_transient(self, service):
        service.open("ann")
        with pytest.raises(IntegrityError) as caught:
            service.open("ann")
        assert is_duplicate(caught.value)
        assert not is_transient(caught.value)
        assert not is_retryable(caught.value)

    def test_missing_value_is_no_duplicate(self, database):
        with pytest.raises(IntegrityError) as caught:
            database.transact(lambda s: s.add(Account(name=None)))
        assert not is_duplicate(caught.value)

    @pytest.mark.parametrize("name", ["s3cret", "it's s3cret' for key 'x", "s3cret\nline"])
    def test_message_shows_no_value(self, service, name):
        service.open(name)
        with pytest.raises(IntegrityError) as caught:
            service.open(name)
        shown: Any = str(caught.value) + repr(caught.value) + repr(caught.value.orig)
        assert "s3cret" not in shown
        assert "name" in shown


class TestFrozenServer:
    @pytest.fixture
    def mariadb_server(self, own_mariadb: OwnMariaDB) -> OwnMariaDB:
        """Not the one that other processes use."""
        return own_mariadb

    def test_frozen_server_is_a_bounded_error(self, mysql, own_mariadb):
        assert count(mysql) == 0  # leaves a connection in the pool
        with own_mariadb.frozen():
            start = time.monotonic()
            with pytest.raises(DBAPIError) as caught:
                count(mysql)
            waited = time.monotonic() - start
        assert is_transient(caught.value)
        assert waited < BOUND
        wait_until_answered(mysql)
        assert count(mysql) == 0

    def test_whoever_comes_after_the_first_to_meet_a_frozen_server_waits_for_nothing(
        self, mysql, own_mariadb
    ):
        assert count(mysql) == 0
        with own_mariadb.frozen():
            with pytest.raises(DBAPIError):
                count(mysql)
            for _ in range(100):  # each would take two seconds
                with pytest.raises(DatabaseHangs):
                    count(mysql)
            with pytest.raises(DatabaseHangs):
                mysql.ping()
        wait_until_answered(mysql)

    def test_ping_of_a_frozen_server_is_bounded(self, mysql, own_mariadb):
        mysql.ping()
        with own_mariadb.frozen():
            start = time.monotonic()
            with pytest.raises(DBAPIError):
                mysql.ping()
            assert time.monotonic() - start < BOUND


class TestEngine:
    def test_sqlite_modes(self, settings):
        database = Database(settings)
        with database.engine.connect() as connection:
            modes = {
                name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
                for name in ("journal_mode", "foreign_keys", "busy_timeout", "synchronous")
            }
        database.close()
        assert modes == {
            "journal_mode": "wal",
            "foreign_keys": 1,
            "busy_timeout": 2000,
            "synchronous": 1,
        }

    @pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:"])
    def test_sqlite_in_memory_is_refused(self, settings, url):
        with pytest.raises(ConfigurationError, match="DATABASE_URL"):
            Database(settings.model_copy(update={"database_url": url}))

    def test_mysql_modes(self, mysql):
        names = "time_zone innodb_lock_wait_timeout lock_wait_timeout character_set_connection"
        if mysql.engine.dialect.is_mariadb:
            names, limit = f"{names} tx_isolation max_statement_time", 2.0  # seconds
        else:
            names, limit = f"{names} transaction_isolation max_execution_time", 2_000
        columns = ", ".join(f"@@{name}" for name in names.split())
        with mysql.scope():
            row = tuple(mysql.session.execute(text(f"SELECT {columns}")).one())
            strict = mysql.session.scalar(text("SELECT @@sql_mode"))
        assert row == ("+00:00", 1, 1, "utf8mb4", "READ-COMMITTED", limit)
        assert "STRICT_ALL_TABLES" in strict

    def test_mysql_tables_compare_by_code_point(self, mysql):
        options = inspect(mysql.engine).get_table_options("account")
        assert options["mysql_default charset"] == "utf8mb4"
        assert options["mysql_collate"] == "utf8mb4_bin"

    def test_pings_share_one_connection(self, database):
        opened: list[object] = []
        event.listen(database._ping_engine, "connect", lambda *made: opened.append(made))
        for _ in range(3):
            database.ping()
        assert len(opened) == 1

    def test_ping_needs_no_scope(self, database):
        assert 0 < database.ping() < BOUND


def test_a_hang_is_told_by_the_time_out_beneath_the_drivers_error():
    lost = OSError(2013, "Lost connection")
    assert not is_hang(OperationalError("SELECT", None, lost))
    lost.__context__ = TimeoutError()  # as PyMySQL's has
    assert is_hang(OperationalError("SELECT", None, lost))


def test_a_database_that_hangs_may_answer_later():
    assert is_transient(DatabaseHangs("it hangs"))
