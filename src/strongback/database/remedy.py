"""Remedies for a database that cannot be used."""

from __future__ import annotations

import sqlite3

from sqlalchemy.exc import DBAPIError

from strongback.database.database_error import is_transient

LOGIN = (
    "MYSQL_USER or MYSQL_PASSWORD, or what DATABASE_URL has in their place, is wrong. MySQL in a"
    " container keeps the password with which its volume was made, whatever the variable says"
    " later: sign in with the old one and ALTER USER, or, if the data may go, docker compose down"
    " --volumes. An account that requires TLS is refused alike: MYSQL_SSL_MODE=required"
)
DATABASE = (
    "MYSQL_DATABASE is missing, or not for MYSQL_USER: as an administrator, CREATE DATABASE and"
    " GRANT ALL ON it"
)
RIGHTS = (
    "MYSQL_USER may not do this, and migrations make and change tables: as an administrator, GRANT"
    " ALL ON MYSQL_DATABASE to it"
)
TLS = (
    "TLS as MYSQL_SSL_MODE wants it is not possible: see that the server offers it, and that"
    " MYSQL_SSL_CA has the authority of its certificate"
)
UNREACHABLE = "See that it runs and that MYSQL_HOST, MYSQL_PORT or DATABASE_URL name it"
FILE = "Let this user read and write the file, or choose another folder: APP_VAR_DIR=/path"
ROOM = "Make room on the disk of the database"
WRITER = "Another process is writing to it: wait until that has ended, or stop it"
READ_ONLY = "The server is read-only: name the primary, or wait for the end of the fail-over"
MYSQL_REMEDIES = {
    1021: ROOM,
    **dict.fromkeys((1044, 1049), DATABASE),
    **dict.fromkeys((1045, 1698), LOGIN),
    **dict.fromkeys((1142, 1143, 1227, 1370, 1410), RIGHTS),
    **dict.fromkeys((1290, 1836), READ_ONLY),
    2026: TLS,
    3159: "The server wants TLS: set MYSQL_SSL_MODE=required, or verify_identity",
}
SQLITE_REMEDIES = {
    sqlite3.SQLITE_FULL: ROOM,
    sqlite3.SQLITE_BUSY: WRITER,
    sqlite3.SQLITE_READONLY: FILE,
    sqlite3.SQLITE_PERM: FILE,
    sqlite3.SQLITE_NOTADB: FILE,
    sqlite3.SQLITE_CORRUPT: FILE,
    sqlite3.SQLITE_CANTOPEN: FILE,
}


def describe(error: DBAPIError) -> str:
    """Return the message of the driver in one line."""
    return f"The database cannot be used: {' '.join(str(error.orig).split())}"


def remedy_for(error: DBAPIError) -> str | None:
    """Return the remedy, or None if the statement is at fault and not the installation."""
    if isinstance(error.orig, sqlite3.Error):
        kind = int(getattr(error.orig, "sqlite_errorcode", 0)) & 0xFF
        if remedy := SQLITE_REMEDIES.get(kind):
            return remedy
        return FILE if is_transient(error) else None
    code = error.orig.args[0] if error.orig and error.orig.args else 0
    if "[SSL" in str(error.orig):  # has the code of any failed connection
        return TLS
    return MYSQL_REMEDIES.get(code) or (UNREACHABLE if is_transient(error) else None)
