from __future__ import annotations

from pathlib import Path

import pytest

from app.core.config import Settings
from app.main import create_app
from strongback.migration.runner import upgrade


@pytest.fixture(scope="module")
def migrated(module_settings: Settings) -> Path:
    """A database on SQLite that lacks no revision, to be copied."""
    app = create_app(module_settings)
    upgrade(app)
    app.close()
    return module_settings.app_var_dir / "app.db"
