from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.core.config import Settings
from app.main import create_app
from strongback.migration.runner import upgrade
from strongback.private import make_private_folder
from strongback.search import Search


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def _open_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def start(settings: Settings) -> None:
    app = create_app(settings)
    upgrade(app)
    with app.app_context():
        search = app.services[Search]
        for name in search.sources:
            search.maintain(name)
        search.engine.ping()
        search.engine.close()
    app.close()


@pytest.mark.usefixtures("_open_umask")
class TestFolder:
    def test_nobody_else_reads_what_a_first_start_makes(self, settings):
        start(settings)
        folder = settings.app_var_dir
        assert mode(folder) == 0o700
        modes = {path.name: mode(path) for path in folder.iterdir() if path.is_file()}
        assert "app.db" in modes
        assert set(modes.values()) == {0o600}
        assert {mode(path) for path in (folder / "search").glob("*/")} <= {0o700}

    def test_a_start_mends_an_earlier_installation(self, settings):
        start(settings)
        folder = settings.app_var_dir
        folder.chmod(0o755)
        for path in folder.iterdir():
            path.chmod(0o755 if path.is_dir() else 0o644)
        start(settings)
        assert mode(folder) == 0o700
        assert {mode(path) for path in folder.iterdir() if path.is_file()} == {0o600}

    def test_a_database_elsewhere_is_made_private_and_its_folder_is_left_alone(
        self, settings, tmp_path
    ):
        shared = tmp_path / "shared"
        shared.mkdir(mode=0o755)
        url = f"sqlite:///{shared / 'app.db'}"
        start(settings.model_copy(update={"database_url": url}))
        assert mode(shared / "app.db") == 0o600
        assert mode(shared) == 0o755


def test_a_folder_for_everybody_stays_one(tmp_path):
    tmp_path.chmod(0o1777)
    make_private_folder(tmp_path)
    assert mode(tmp_path) == 0o1777


def test_a_folder_that_cannot_be_made_is_no_error_here(tmp_path):
    (tmp_path / "file").touch()
    make_private_folder(tmp_path / "file" / "folder")
