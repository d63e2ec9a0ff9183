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

from app.core.cache.bloom import LocalBloom, RebuildRefused, SharedBloom
from app.core.cache.care import CacheCare
from app.core.cache.change import OUTDATED, CacheUnavailable, Changes
from app.core.cache.error import CacheMisuse
from app.core.cache.function import CachedFunction
from app.core.cache.listing import CachedList
from app.core.cache.local import LocalStorage
from app.core.cache.manager import Manager
from app.core.cache.node import Node, StorageOptions
from app.core.cache.nothing import NoStorage
from app.core.cache.remote import RedisStorage
from app.core.cache.serializer import CompactSerializer, JSONSerializer, Serializer
from app.core.cache.stats import Stats
from app.core.cache.storage import MISSING, Item, SharedStorage, Storage

__all__ = [
    "MISSING",
    "OUTDATED",
    "CacheCare",
    "CacheMisuse",
    "CacheUnavailable",
    "CachedFunction",
    "CachedList",
    "Changes",
    "CompactSerializer",
    "Item",
    "JSONSerializer",
    "LocalBloom",
    "LocalStorage",
    "Manager",
    "NoStorage",
    "Node",
    "RebuildRefused",
    "RedisStorage",
    "Serializer",
    "SharedBloom",
    "SharedStorage",
    "Stats",
    "Storage",
    "StorageOptions",
]
