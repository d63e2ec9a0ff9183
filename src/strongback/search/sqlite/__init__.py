"""The SQLite engine: full-text search with nothing installed."""

from strongback.search.sqlite.engine import SQLiteEngine

__all__ = ["SQLiteEngine"]
