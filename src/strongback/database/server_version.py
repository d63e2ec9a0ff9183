"""Whether the database is recent enough, and the connection to it encrypted."""

from __future__ import annotations

from sqlalchemy import text

from strongback.database.session import Database
from strongback.exceptions import ConfigurationError

LEAST = {"MySQL": (8, 4), "MariaDB": (10, 6), "SQLite": (3, 35)}


def check_version(database: Database) -> str:
    """Name the database, its version and the connection's cipher; refuse one that is too old."""
    is_sqlite = database.engine.dialect.name == "sqlite"
    query = "SELECT sqlite_version()" if is_sqlite else "SELECT VERSION()"
    with database.engine.connect() as connection:
        version = str(connection.scalar(text(query)))
        cipher = ""
        if not is_sqlite:
            cipher = connection.execute(text("SHOW SESSION STATUS LIKE 'Ssl_cipher'")).one()[1]
    name = "SQLite" if is_sqlite else "MariaDB" if "MariaDB" in version else "MySQL"
    found = tuple(int(part) for part in version.partition("-")[0].split(".")[:2])
    if found < LEAST[name]:
        wanted = ".".join(map(str, LEAST[name]))
        raise ConfigurationError(f"{name} {version} is too old: use {wanted} or newer")
    if is_sqlite:
        return f"{name} {version} answers"
    if cipher:
        return f"{name} {version} answers, and the connection is encrypted ({cipher})"
    return (
        f"{name} {version} answers, and the connection is not encrypted: in a network that others"
        " use too, set MYSQL_SSL_MODE=required or verify_identity"
    )
