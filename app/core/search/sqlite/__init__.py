"""The SQLite engine: full-text search with nothing installed."""

from app.core.search.sqlite.engine import SQLiteEngine

__all__ = ["SQLiteEngine"]
