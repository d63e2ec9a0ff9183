"""The cache: values loaded once, kept near, and never served after they are known to be outdated.

    class ArticleNode(Node[ArticleOut]):
        storages = ["local", {"storage": "redis", "ttl": timedelta(seconds=120)}]

        def __init__(self, slug: str) -> None:
            self.slug = slug

        def key(self) -> str:
            return self.slug

        def load(self) -> ArticleOut | None:
            return read_article(self.slug)

    cache = Manager()
    cache.register_storage("local", LocalStorage(size=10_000))
    cache.register_storage("redis", RedisStorage(client))
    article = cache.get(ArticleNode("hello"))

A library of its own: it knows no web framework, no settings and no slice.
"""

from typing import TYPE_CHECKING

from strongback.cache.cached_function import CachedFunction
from strongback.cache.cached_list import CachedList
from strongback.cache.cached_pages import CachedPage, CachedPages
from strongback.cache.database_node import DatabaseNode
from strongback.cache.error import CacheMisuse, CacheUnavailable, RebuildRefused
from strongback.cache.invalidator import OUTDATED, CacheInvalidator
from strongback.cache.local_storage import LocalStorage
from strongback.cache.maintenance import CacheMaintenance, Warmer
from strongback.cache.manager import Manager
from strongback.cache.node import Node
from strongback.cache.policy import LOCAL_AND_REDIS, StorageOptions
from strongback.cache.serializer import CompactSerializer, JSONSerializer, Serializer
from strongback.cache.stats import Stats
from strongback.cache.storage import MISSING, Item, NullStorage, SharedStorage, Storage

if TYPE_CHECKING:
    from strongback.cache.bloom_filter import BloomFilter
    from strongback.cache.redis_storage import RedisStorage
else:
    from strongback.extra import lazily

    __getattr__ = lazily(
        __name__,
        {
            "BloomFilter": "strongback.cache.bloom_filter",
            "RedisStorage": "strongback.cache.redis_storage",
        },
        extra="redis",
    )

__all__ = [
    "LOCAL_AND_REDIS",
    "MISSING",
    "OUTDATED",
    "BloomFilter",
    "CacheInvalidator",
    "CacheMaintenance",
    "CacheMisuse",
    "CacheUnavailable",
    "CachedFunction",
    "CachedList",
    "CachedPage",
    "CachedPages",
    "CompactSerializer",
    "DatabaseNode",
    "Item",
    "JSONSerializer",
    "LocalStorage",
    "Manager",
    "Node",
    "NullStorage",
    "RebuildRefused",
    "RedisStorage",
    "Serializer",
    "SharedStorage",
    "Stats",
    "Storage",
    "StorageOptions",
    "Warmer",
]
