"""Which caches are compared."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version


@dataclass(frozen=True, slots=True)
class Contender:
    """One cache, as one module of `benchmarks.cache.peer` uses it."""

    name: str
    title: str
    packages: tuple[str, ...] = ()
    has_own_environment: bool = False

    @property
    def versions(self) -> str:
        found = []
        for package in self.packages:
            try:
                found.append(f"{package} {version(package)}")
            except PackageNotFoundError:
                continue
        return ", ".join(found)


OURS, FLOOR, DOGPILE, CACHEME = "strongback", "redis_py", "dogpile_region", "cacheme_node"
CONTENDERS = {
    item.name: item
    for item in (
        Contender(OURS, "Strongback", ("redis", "orjson", "pydantic")),
        Contender(FLOOR, "redis-py alone", ("redis",)),
        Contender(DOGPILE, "dogpile.cache", ("dogpile.cache",)),
        Contender("flask_cache", "Flask-Caching", ("flask-caching",)),
        Contender("cachetools_memory", "cachetools", ("cachetools",)),
        Contender("cashews_client", "cashews (async)", ("cashews",)),
        Contender("aiocache_client", "aiocache (async)", ("aiocache",)),
        Contender(CACHEME, "cacheme 0.3 (async)", has_own_environment=True),
    )
}
