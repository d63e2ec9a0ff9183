"""The cache's counts reach Prometheus at every scrape."""

from __future__ import annotations

import gc

from prometheus_client import REGISTRY

from strongback.app import Strongback
from strongback.cache import LocalStorage, Manager
from strongback.config import Settings
from strongback.web.metrics import CACHES
from tests.support.cache import Source, word_node


def value(name: str, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(name, labels)


def test_every_count_is_collected() -> None:
    source, cache = Source(), Manager()
    cache.register_storage("local", LocalStorage(100))
    node = word_node(source, "local")
    CACHES.caches.add(cache)
    for _ in range(3):
        cache.get(node("tea"))

    label = node.prefix
    assert value("cache_requests_total", node=label) == 3
    assert value("cache_misses_total", node=label) == 1
    assert value("cache_loads_total", node=label) == 1
    assert value("cache_stale_served_total", node=label) == 0
    assert value("cache_hits_total", node=label, storage="local") == 2
    cache.get(node("tea"))
    assert value("cache_requests_total", node=label) == 4


def test_two_caches_are_added_up_and_one_that_is_gone_is_not_kept() -> None:
    source, caches = Source(), [Manager(), Manager()]
    node = word_node(source, "local")
    for cache in caches:
        cache.register_storage("local", LocalStorage(100))
        CACHES.caches.add(cache)
        cache.get(node("tea"))
    assert value("cache_requests_total", node=node.prefix) == 2

    del cache, caches
    gc.collect()
    assert value("cache_requests_total", node=node.prefix) is None


def test_those_of_an_application_are_served(settings: Settings) -> None:
    app, node = Strongback("bare", settings, title="Bare"), word_node(Source(), "local")
    app.cache.get(node("tea"))

    text = app.test_client().get("/metrics").text
    app.close()
    assert f'cache_requests_total{{node="{node.prefix}"}} 1.0' in text
