"""Classifies errors of the database by the codes of the drivers, and maps them to the API's.

StrongbackError
└── DatabaseMisuse    the code breaks a rule of the database layer; the message has the remedy
"""

from __future__ import annotations

import re
import sqlite3

from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm.exc import StaleDataError

from strongback.exceptions import AlreadyExists, APIException, DatabaseUnavailable, StrongbackError

MYSQL_RETRYABLE = frozenset(
    {
        1020,  # MariaDB: the record has changed since it was last read
        1205,  # lock wait time-out; undoes the statement alone, the transaction is ours to undo
        1213,  # deadlock
    }
)
MYSQL_TRANSIENT = MYSQL_RETRYABLE | {
    *(1021, 1026, 1030, 1114),  # a full disk: none can write, not a file, an engine or a table
    *(1037, 1041),  # out of memory
    *(1040, 1203, 1226),  # too many connections, or those of this user, or another limit of it
    *(1044, 1045, 1049, 1698),  # user or database: being changed, restored, or not yet there
    *(1047, 1053, 3032, 3168),  # not ready (Galera), shuts down, is offline, is not available
    *(1129, 1130),  # this host is blocked after too many failed connections, or not let in
    1135,  # the server can make no thread
    *(1152, 1158, 1159, 1160, 1161),  # aborted by the network: reading, writing, their time-outs
    *(1290, 1792, 1836),  # read-only: during a fail-over, on a replica, by its mode
    *(1317, 1927, 4031),  # ended by the server: the statement or connection, or for idling
    *(1820, 1862, 3118, 4151),  # password to be changed, or expired; account locked (twice)
    *(1969, 3024),  # statement time-out of MariaDB, of MySQL
    *(2002, 2003, 2005, 2006),  # no connection: socket, network, unknown name, gone away
    *(2012, 2026),  # the handshake failed; no encrypted connection
    *(2013, 2055),  # connection lost during a statement, or its time-out; connection lost
}
MYSQL_DUPLICATE = frozenset({1062, 1586})

SQLITE_RETRYABLE = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
SQLITE_TRANSIENT = SQLITE_RETRYABLE | {
    sqlite3.SQLITE_INTERRUPT,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_PROTOCOL,
}
SQLITE_DUPLICATE = frozenset(
    {
        sqlite3.SQLITE_CONSTRAINT_UNIQUE,
        sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY,
        sqlite3.SQLITE_CONSTRAINT_ROWID,
    }
)

# MySQL quotes values in some messages, regardless of `hide_parameters`.
_QUOTED_VALUE = re.compile(
    r"\b(entry|value:|near|function) '.*'(?= for key| for column| at line| at row|$)", re.DOTALL
)


RETRY_AFTER = "5"
"""Seconds until a client should retry: about the time of a restart or a fail-over."""


class DatabaseMisuse(StrongbackError):
    """The code breaks a rule of the database layer; the message has the remedy."""


class DatabaseHangs(SQLAlchemyError):
    """The database is known not to answer, so that it was not asked."""


def is_hang(error: BaseException) -> bool:
    """Whether a driver has waited in vain, and did not merely meet a server that is gone."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, TimeoutError):
            return True
        cause = getattr(cause, "orig", None) or cause.__cause__ or cause.__context__
    return False


def is_retryable(error: BaseException) -> bool:
    """Whether the transaction may succeed if it is run again from its start.

    A stale version counts: the next run reads the new row.
    """
    return isinstance(error, StaleDataError) or _is_one_of(error, MYSQL_RETRYABLE, SQLITE_RETRYABLE)


def is_transient(error: BaseException) -> bool:
    """Whether the database is unreachable, overloaded or too slow."""
    if isinstance(error, PoolTimeout | DatabaseHangs):  # no connection became free, or would answer
        return True
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    return _is_one_of(error, MYSQL_TRANSIENT, SQLITE_TRANSIENT)


def is_duplicate(error: BaseException) -> bool:
    """Whether a unique value exists already."""
    if not isinstance(error, IntegrityError):
        return False
    return _mysql_code(error) in MYSQL_DUPLICATE or _sqlite_code(error) in SQLITE_DUPLICATE


def error_mapping(error: SQLAlchemyError) -> APIException | None:
    """The error of the API, or None if the database error is a defect of the code."""
    if is_transient(error):
        return DatabaseUnavailable(headers={"Retry-After": RETRY_AFTER})
    return AlreadyExists() if is_duplicate(error) else None


def hide_values(error: DBAPIError) -> None:
    """Remove the values that MySQL quotes from the message of an error."""
    for exception in (error, error.orig):
        if exception is not None:
            exception.args = tuple(
                _QUOTED_VALUE.sub(r"\1 '…'", part) if isinstance(part, str) else part
                for part in exception.args
            )


def _is_one_of(error: BaseException, mysql: frozenset[int], sqlite: frozenset[int]) -> bool:
    if not isinstance(error, DBAPIError):
        return False
    # The low byte is the primary code: BUSY_SNAPSHOT is a BUSY.
    return _mysql_code(error) in mysql or _sqlite_code(error) & 0xFF in sqlite


def _mysql_code(error: DBAPIError) -> int:
    if isinstance(error.orig, sqlite3.Error) or error.orig is None or not error.orig.args:
        return 0
    code = error.orig.args[0]
    return code if isinstance(code, int) else 0


def _sqlite_code(error: DBAPIError) -> int:
    # Errors of the Python module itself, such as of a closed connection, have no code.
    return int(getattr(error.orig, "sqlite_errorcode", 0))
