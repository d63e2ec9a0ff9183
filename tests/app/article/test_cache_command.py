"""The commands of the cache, run as an operator runs them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from app.core.config import Settings
from strongback.cache import Manager
from strongback.migration.runner import upgrade
from strongback.testing.redis import RedisServer
from tests.support.api import API


def run(api: API, *arguments: str) -> tuple[int, str]:
    result = api.app.test_cli_runner().invoke(args=["cache", *arguments])
    return result.exit_code, result.output


def make(settings: Settings, **changes: object) -> API:
    api = API(settings.model_copy(update=changes))
    upgrade(api.app)
    api.fill()
    return api


@pytest.fixture
def alone(settings: Settings) -> Iterator[API]:
    api = make(settings)
    yield api
    api.close()


@pytest.fixture
def shared(settings: Settings, redis_server: RedisServer) -> Iterator[API]:
    api = make(settings, redis_url=redis_server.url)
    yield api
    api.close()


def test_warming_without_redis_says_that_it_is_of_no_use(alone: API) -> None:
    status, output = run(alone, "warm")

    assert status == 1
    assert "REDIS_URL" in output


def test_without_redis_there_are_no_filters(alone: API) -> None:
    assert run(alone, "rebuild") == (0, "There are no filters without Redis.\n")


def test_warming_puts_every_public_article_into_redis(shared: API) -> None:
    for number in range(3):
        shared.article(slug=f"tea-{number}")
    shared.article(slug="draft", published=False)

    assert run(shared, "warm") == (0, "public articles 3\n")

    cache: Manager = shared.app.services[Manager]
    assert cache.all_storage["redis"].count() == 3


def test_clearing_leaves_nothing(shared: API) -> None:
    shared.article(slug="tea")
    run(shared, "warm")

    assert run(shared, "clear") == (0, "The cache is empty.\n")
    assert run(shared, "stats") == (0, "local: 0 entries\nredis: 0 entries\nsearch: 0 entries\n")


def test_rebuilding_lets_unknown_names_be_refused_without_a_query(shared: API) -> None:
    shared.article(slug="tea")

    assert run(shared, "rebuild") == (0, "user: 4 names\narticle: 1 names\n")

    statuses = [shared.call("GET", f"/articles/{name}").status_code for name in ("tea", "nobody")]
    stats = shared.app.services[Manager].all_stats()["article"]
    assert statuses == [200, 404]
    assert (stats.filtered, stats.loads) == (1, 1)
    shared.article(slug="nobody")
    assert shared.call("GET", "/articles/nobody").status_code == 200


def test_a_redis_that_is_away_is_said_in_one_line(shared: API, redis_server: RedisServer) -> None:
    redis_server.kill()

    status, output = run(shared, "stats")
    assert status == 0
    # The listener may log the loss of its channel meanwhile.
    assert output.startswith("local: 0 entries\nredis: not answering\nsearch: 0 entries\n")
    status, output = run(shared, "rebuild")
    assert status == 1
    assert "Redis" in output
