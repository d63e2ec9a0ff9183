"""The embedded engine: full-text search by tantivy, in a folder, without a server."""

from strongback.search.tantivy.tantivy_engine import TantivyEngine

__all__ = ["TantivyEngine"]
