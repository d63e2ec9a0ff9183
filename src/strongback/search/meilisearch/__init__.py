"""The engine for many documents and machines: a Meilisearch server, by its official client."""

from strongback.search.meilisearch.meilisearch_engine import MeilisearchEngine

__all__ = ["MeilisearchEngine"]
