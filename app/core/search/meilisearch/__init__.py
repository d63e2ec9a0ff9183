"""The engine for many documents and machines: a Meilisearch server, by its official client."""

from app.core.search.meilisearch.engine import MeilisearchEngine

__all__ = ["MeilisearchEngine"]
