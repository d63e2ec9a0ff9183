"""`flask static build`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import Result

from strongback.app import Strongback
from strongback.config import Settings
from tests.support.static import leave_uncompressed


@dataclass(frozen=True)
class Run:
    """Runs the command of an application."""

    app: Strongback

    def __call__(self, *words: str) -> Result:
        return self.app.test_cli_runner().invoke(args=["static", "build", *words])


def static_files_of(app: Strongback) -> str:
    """What `/readyz` says of them."""
    services = app.test_client().get("/readyz").get_json()["services"]
    return str(services["static_files"]["status"])


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """The folder that WEB_STATIC_DIR names; it is not there yet."""
    return tmp_path / "built"


@pytest.fixture(params=[True, False], ids=["named", "unnamed"])
def run(request: pytest.FixtureRequest, settings: Settings, target: Path) -> Iterator[Run]:
    """Run a command of an application, with WEB_STATIC_DIR or without."""
    if request.param:
        settings = settings.model_copy(update={"web_static_dir": target})
    app = Strongback(__name__, settings, title="Shop").checked()
    yield Run(app)
    app.close()


named = pytest.mark.parametrize("run", [True], ids=["named"], indirect=True)
unnamed = pytest.mark.parametrize("run", [False], ids=["unnamed"], indirect=True)


@named
def test_it_writes_to_the_folder_of_the_setting(run: Run, target: Path):
    leave_uncompressed(run.app, target)
    result = run()
    assert (result.exit_code, result.output.split()[1:3]) == (0, ["static", "files"])
    assert "strongback/docs.js" in json.loads((target / "staticfiles.json").read_bytes())["paths"]


def test_it_writes_to_the_folder_that_is_named(run: Run, tmp_path: Path):
    leave_uncompressed(run.app, tmp_path / "other")
    assert run("--to", str(tmp_path / "other"), "--prune", "7d").exit_code == 0
    assert (tmp_path / "other" / "staticfiles.json").exists()


def test_a_server_is_ready_when_its_files_are_built(settings: Settings, target: Path):
    app = Strongback(
        __name__, settings.model_copy(update={"web_static_dir": target}), title="Shop"
    ).checked()
    leave_uncompressed(app, target)
    assert static_files_of(app) == "unavailable"
    Run(app)()
    assert static_files_of(app) == "ok"
    app.close()


@unnamed
def test_it_asks_for_a_folder(run: Run):
    result = run()
    assert result.exit_code == 2
    assert "--to DIR, or set WEB_STATIC_DIR" in result.output


@unnamed
@pytest.mark.parametrize("age", ["7", "d", "-1d", "7w", "1000000d"])
def test_an_age_that_cannot_be_read_is_refused(run: Run, tmp_path: Path, age: str):
    result = run("--to", str(tmp_path), "--prune", age)
    assert result.exit_code == 2
    assert "such as 7d or 12h" in result.output
