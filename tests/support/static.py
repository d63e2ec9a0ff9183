"""The static files of the application, compressed once for all tests that build them."""

from __future__ import annotations

import fcntl
from pathlib import Path

import pytest

from app.core.config import Settings
from app.main import create_app
from strongback.static_manifest import MANIFEST
from strongback.web.static_build import build


@pytest.fixture(scope="session")
def compressed_static(
    run_folder: Path, loaded_settings: Settings, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A built folder, for `built_before`: compressing takes seconds, and gives the same bytes."""
    folder = run_folder / "static"
    with run_folder.joinpath("static.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / MANIFEST).exists():
            place = {"app_var_dir": tmp_path_factory.mktemp("static")}
            app = create_app(loaded_settings.model_copy(update=place))
            build(app.static_files.files(), folder)
            app.close()
    return folder
