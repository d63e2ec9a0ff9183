from __future__ import annotations

import pytest

from app.core.config import Settings
from strongback.database import Database
from strongback.testing import empty
from tests.support.kept import Kept
from tests.web_fixture import app, bare, client, library, logs, small_app, statements

__all__ = ["app", "bare", "client", "library", "logs", "small_app", "statements"]


@pytest.fixture(scope="module")
def module_settings(
    loaded_settings: Settings, tmp_path_factory: pytest.TempPathFactory
) -> Settings:
    """Settings of what the tests of a module share, in a folder of its own."""
    return loaded_settings.model_copy(update={"app_var_dir": tmp_path_factory.mktemp("var")})


@pytest.fixture
def kept_database(kept: Kept, settings: Settings, database_url: str) -> Database:
    """A database on each back end, empty, which the tests of a module share.

    What SQLAlchemy has compiled stays with it.
    """
    database = kept.get(Database, settings, database_url)
    empty(database)
    return database
