"""Fixtures that every test may ask for, beside those of `strongback.testing`."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Generator, Iterator

import pytest
import structlog
from flask import Flask

from app.core.config import Settings
from app.main import create_app
from strongback.app import Strongback
from strongback.testing.process import parameters
from tests.support import centrifugo, meilisearch_server
from tests.support.api import API
from tests.support.browser import browser
from tests.support.front import nginx
from tests.support.kept import Kept
from tests.support.log import reset_log
from tests.support.process import gate, is_long
from tests.support.route import SharedRule
from tests.support.static import compressed_static

__all__ = ["browser", "compressed_static", "is_long", "nginx"]


def pytest_configure() -> None:
    gate.watch()
    Flask.url_rule_class = SharedRule
    reset_log()


def pytest_report_header() -> list[str]:
    """Say what is not there to be tested."""
    return [meilisearch_server.HEADER, centrifugo.HEADER]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if "is_long" in getattr(item, "fixturenames", ()) or item.get_closest_marker("long_only"):
            item.add_marker("long")
    if "TEST_LONG" not in os.environ:
        _leave_out(config, items, lambda item: item.get_closest_marker("long_only") is not None)
    if "TEST_MYSQL_URL" not in os.environ:
        _leave_out(config, items, _repeats_on_mysql)


def _leave_out(
    config: pytest.Config, items: list[pytest.Item], is_left_out: Callable[[pytest.Item], bool]
) -> None:
    left_out = [item for item in items if is_left_out(item)]
    items[:] = [item for item in items if not is_left_out(item)]
    config.hook.pytest_deselected(items=left_out)


def _repeats_on_mysql(item: pytest.Item) -> bool:
    """Whether the test is one of SQLite, once more on MariaDB, that has nothing to say of it."""
    return "mariadb_server" in parameters(item) and item.get_closest_marker("speaks_sql") is None


def pytest_collection_finish() -> None:
    """Spare all collections of garbage the thousands of tests, which stay anyway."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None]:
    with gate.running(item):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    with gate.running(item):
        return (yield)


@pytest.fixture(autouse=True)
def _unbound_context() -> None:
    """A request leaves its id bound until the thread's next one; a test must not find it."""
    structlog.contextvars.clear_contextvars()


@pytest.fixture(scope="session", autouse=True)
def _environment(hidden_environment: None) -> None:
    """Tests that make settings by themselves do not ask for it."""


@pytest.fixture(scope="session")
def settings_class() -> type[Settings]:
    return Settings


@pytest.fixture(scope="session")
def application_factory() -> Callable[[Settings], Strongback]:
    return create_app


@pytest.fixture(scope="module")
def kept() -> Iterator[Kept]:
    """The applications that the tests of a module share."""
    kept = Kept()
    yield kept
    kept.close()


@pytest.fixture
def api(kept: Kept, settings: Settings, database_url: str) -> API:
    """The application on each back end, with an account of each role and nothing else.

    The tests of a module share it: what changes the application or its folder asks for `own_api`.
    """
    api = kept.get(API, settings, database_url)
    api.reset()
    return api


@pytest.fixture
def own_api(settings: Settings, database_url: str) -> Iterator[API]:
    """As `api`, for one test alone."""
    api = API(settings.model_copy(update={"database_url": database_url}))
    api.reset()
    yield api
    api.close()
