"""Databases of tests: their tables, made once and emptied for each test."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from sqlalchemy import Connection, MetaData, Table, create_engine, inspect, text

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
    if missing := [table for table in metadata.sorted_tables if table.name not in there]:
        metadata.create_all(engine, missing)
    with engine.begin() as connection:
        if "sb_version" in there:
            connection.execute(text("DROP TABLE sb_version"))  # not by migrations
        for table in _filled(connection, [t for t in metadata.sorted_tables if t.name in there]):
            connection.execute(table.delete())


def _filled(connection: Connection, tables: list[Table]) -> list[Table]:
    """Return those that have a row, the one that refers to others first.

    All are asked at once: to empty each of them takes twenty times as long.
    """
    quoted = enumerate(map(connection.dialect.identifier_preparer.format_table, tables))
    some = "SELECT {} WHERE EXISTS (SELECT * FROM {})"
    parts = [some.format(number, name) for number, name in quoted]
    found = connection.exec_driver_sql(" UNION ALL ".join(parts)).scalars() if parts else ()
    return [tables[i] for i in sorted(found, reverse=True)]


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
