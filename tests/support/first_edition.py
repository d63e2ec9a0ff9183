"""A database as the first edition left it."""

from __future__ import annotations

from sqlalchemy import text

from strongback.database import Database


def make_first_edition(database: Database, revision: str) -> None:
    """Give an empty database its version table, and one of its tables."""
    with database.engine.begin() as connection:
        connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32))"))
        connection.execute(text("INSERT INTO alembic_version VALUES (:name)"), {"name": revision})
        connection.execute(text("CREATE TABLE outbox (id INTEGER)"))
