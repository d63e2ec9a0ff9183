"""The plugin: fixtures for settings, databases, servers, the application and its clients."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from strongback.app import Strongback
from strongback.config import Environment, Settings, load_settings
from strongback.database import Database
from strongback.testing.database import empty
from strongback.testing.mariadb import (
    MariaDB,
    OwnMariaDB,
    mariadb_server,
    own_mariadb,
    starts_mariadb,
)
from strongback.testing.process import add_marks, starts_processes
from strongback.testing.redis import redis_server, running_redis, starts_redis
from strongback.testing.shared import run_folder
from strongback.testing.sign_in import access_token

__all__ = [
    "MariaDB",
    "OwnMariaDB",
    "mariadb_server",
    "own_mariadb",
    "redis_server",
    "run_folder",
    "running_redis",
    "starts_mariadb",
    "starts_processes",
    "starts_redis",
]

MARKERS = {
    "process": "starts or asks another process",
    "mysql": "asks MariaDB or MySQL",
    "redis": "asks Redis",
}


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marks."""
    for name, meaning in MARKERS.items():
        config.addinivalue_line("markers", f"{name}: {meaning}")


@pytest.hookimpl(tryfirst=True)  # the marks are there before -m chooses by them
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what asks other processes."""
    add_marks(items)


# What a project says of itself


@pytest.fixture(scope="session")
def settings_class() -> type[Settings]:
    """Class of the settings; a project's own fixture of this name returns its own."""
    return Settings


@pytest.fixture(scope="session")
def application_factory() -> Callable[[Settings], Strongback]:
    """Build the application from settings; a project's own fixture of this name does."""
    pytest.fail(
        "What is tested? Write a fixture `application_factory` that returns create_app into"
        " conftest.py, see strongback.testing",
        pytrace=False,
    )


# What tests ask for


@pytest.fixture(scope="session")
def hidden_environment(settings_class: type[Settings]) -> Iterator[None]:
    """Hide the developer's own settings: a test sees what it asks for and nothing else."""
    names = {name.lower() for name in settings_class.model_fields}
    with pytest.MonkeyPatch.context() as patch:
        for variable in [name for name in os.environ if name.lower() in names]:
            patch.delenv(variable)
        yield


@pytest.fixture(scope="session")
def loaded_settings(settings_class: type[Settings], hidden_environment: None) -> Settings:
    """Settings of the embedded mode, validated once."""
    return load_settings(
        settings_class,
        _env_file=None,
        app_env=Environment.TEST,
        database_pool_size=4,
        database_timeout=30,  # a busy machine is no failure
        database_query_timeout=60,
        database_read_timeout=60,
    )


@pytest.fixture
def settings(loaded_settings: Settings, tmp_path: Path) -> Settings:
    """Settings of the embedded mode in a folder of the test's own.

    A test varies them by `model_copy(update=…)`.
    """
    return loaded_settings.model_copy(update={"app_var_dir": tmp_path / "var"})


@pytest.fixture(params=["sqlite", pytest.param("mariadb_server", id="mariadb")])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Address of each back end in turn: the test runs once on each."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'test.db'}"
    server: MariaDB = request.getfixturevalue(request.param)
    return server.url


@pytest.fixture
def database(settings: Settings, database_url: str) -> Iterator[Database]:
    """A database on each back end, with the models' tables, empty."""
    database = Database(settings.model_copy(update={"database_url": database_url}))
    empty(database)
    yield database
    database.close()


@pytest.fixture
def app(
    settings: Settings,
    database: Database,
    database_url: str,
    application_factory: Callable[[Settings], Strongback],
) -> Iterator[Strongback]:
    """The application on each back end, its tables empty."""
    app = application_factory(settings.model_copy(update={"database_url": database_url}))
    yield app
    app.close()


@pytest.fixture
def client(app: Strongback) -> FlaskClient:
    """A client of the application."""
    return app.test_client()


@pytest.fixture
def sign_in(app: Strongback) -> Callable[[int], dict[str, str]]:
    """Sign in as the account of an id: returns the headers that its requests need."""
    return lambda user_id: {"Authorization": f"Bearer {access_token(app, user_id)}"}
