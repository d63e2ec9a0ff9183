from __future__ import annotations

import pytest

from app.core.config import Settings
from tests.web_fixture import app, bare, client, library, logs, small_app, statements

__all__ = ["app", "bare", "client", "library", "logs", "small_app", "statements"]


@pytest.fixture(scope="module")
def module_settings(
    loaded_settings: Settings, tmp_path_factory: pytest.TempPathFactory
) -> Settings:
    """Settings of what the tests of a module share, in a folder of its own."""
    return loaded_settings.model_copy(update={"app_var_dir": tmp_path_factory.mktemp("var")})
