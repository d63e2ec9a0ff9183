"""Databases of tests: their tables, made once and emptied for each test."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from sqlalchemy import MetaData, create_engine, inspect, text

from strongback.database import Base, Database

_files: dict[MetaData, bytes] = {}
"""SQLite files that have the tables and nothing in them: making one takes as long as many tests."""


def empty(database: Database, metadata: MetaData = Base.metadata) -> None:
    """Make the tables that are missing and delete what an earlier test has left.

    Args:
        database: Database of the tests.
        metadata: Tables that it has; those of every model when left out.
    """
    engine = database.engine
    if engine.dialect.name == "sqlite" and not Path(engine.url.database or "").exists():
        _write_tables(Path(engine.url.database or ""), metadata)
        return
    there = set(inspect(engine).get_table_names())
    metadata.create_all(engine, [t for t in metadata.sorted_tables if t.name not in there])
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE IF EXISTS sb_version"))  # not by migrations
        for table in reversed(metadata.sorted_tables):
            if table.name in there:
                connection.execute(table.delete())


def _write_tables(file: Path, metadata: MetaData) -> None:
    if metadata not in _files:
        engine = create_engine("sqlite://")
        metadata.create_all(engine)
        with engine.connect() as connection:
            raw = connection.connection.driver_connection
            assert isinstance(raw, sqlite3.Connection)
            _files[metadata] = raw.serialize()
        engine.dispose()
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(_files[metadata])
