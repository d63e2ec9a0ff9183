"""The cache's counts reach Prometheus: each once, at every scrape, and seldom in between."""

from __future__ import annotations

from prometheus_client import REGISTRY

from strongback.cache import LocalStorage, Manager
from strongback.web.cache_metrics import CacheFigures, init_cache_metrics
from strongback.web.http_app import HTTPApp
from tests.support.cache import Clock, Source, word_node


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def test_every_count_is_handed_on_once() -> None:
    source, cache = Source(), Manager()
    cache.register_storage("local", LocalStorage(100))
    node = word_node(source, "local")
    figures = CacheFigures(cache.all_stats)
    label = node.prefix
    for _ in range(3):
        cache.get(node("tea"))

    figures.publish()
    figures.publish()

    assert value("cache_requests_total", node=label) == 3
    assert value("cache_misses_total", node=label) == 1
    assert value("cache_loads_total", node=label) == 1
    assert value("cache_hits_total", node=label, storage="local") == 2
    cache.get(node("tea"))
    figures.publish()
    assert value("cache_requests_total", node=label) == 4


def test_answers_hand_them_on_once_a_second_at_most() -> None:
    source, cache, clock = Source(), Manager(), Clock()
    cache.register_storage("local", LocalStorage(100))
    node = word_node(source, "local")
    figures = CacheFigures(cache.all_stats, clock)
    figures.publish_if_due()
    cache.get(node("tea"))

    figures.publish_if_due()
    assert value("cache_requests_total", node=node.prefix) == 0

    clock.now += 1
    figures.publish_if_due()
    assert value("cache_requests_total", node=node.prefix) == 1


def test_a_request_hands_them_on(bare: HTTPApp) -> None:
    app, source, cache = bare, Source(), Manager()
    cache.register_storage("local", LocalStorage(100))
    node = word_node(source, "local")
    app.add_url_rule("/", "read", lambda: {"tea": cache.get(node("tea"))})
    init_cache_metrics(app.lifecycle, cache.all_stats)

    assert app.test_client().get("/").status_code == 200

    assert value("cache_requests_total", node=node.prefix) == 1
