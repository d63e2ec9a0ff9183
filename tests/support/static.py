"""Static files of an application that a test need not compress, which takes seconds."""

from __future__ import annotations

import fcntl
from pathlib import Path

import pytest

from app.core.config import Settings
from app.main import create_app
from strongback.app import Strongback
from strongback.static_manifest import MANIFEST
from strongback.web.static_build import build, hashed_name


@pytest.fixture(scope="session")
def compressed_static(
    run_folder: Path, loaded_settings: Settings, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A built folder, for `built_before`, made once for all tests: it gives the same bytes."""
    folder = run_folder / "static"
    with run_folder.joinpath("static.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / MANIFEST).exists():
            place = {"app_var_dir": tmp_path_factory.mktemp("static")}
            app = create_app(loaded_settings.model_copy(update=place))
            build(app.static_files.files(), folder)
            app.close()
    return folder


def leave_uncompressed(app: Strongback, target: Path) -> None:
    """Leave the files of an earlier build, without its manifest: a build compresses what is new."""
    for name, source in app.static_files.files():
        content = source.read_bytes()
        built = target / hashed_name(name, content)
        built.parent.mkdir(parents=True, exist_ok=True)
        built.write_bytes(content)
