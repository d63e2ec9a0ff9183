"""What a back end says of how it reads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from sqlalchemy import Engine, event, text


def analyze(engine: Engine, *tables: str) -> None:
    """Let the back end look at what the tables have."""
    word = "" if engine.dialect.name == "sqlite" else "TABLE"
    with engine.begin() as connection:
        for table in tables:
            connection.execute(text(f"ANALYZE {word} {table}"))


def explain(engine: Engine, read: Callable[[], object]) -> list[str]:
    """What the back end says of each statement that is run here, a line a table."""
    statements: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
        statements.append((statement, values))

    event.listen(engine, "before_cursor_execute", note)
    read()
    event.remove(engine, "before_cursor_execute", note)
    with engine.connect() as connection:
        return [
            line
            for statement, values in statements
            for line in _plan(connection, statement, values)
        ]


def _plan(connection: Any, statement: str, values: Any) -> Iterator[str]:
    if connection.dialect.name == "sqlite":
        rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
        yield from (row.detail for row in rows)
        return
    # MySQL 9 has another form unless this one is asked for.
    rows = connection.exec_driver_sql(f"EXPLAIN FORMAT=TRADITIONAL {statement}", values)
    for row in rows.mappings():
        yield f"{row['table']} {row['type']} {row['key']} {row['Extra']}"
