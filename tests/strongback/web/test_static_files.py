"""Static files: addresses, the import map, and how they are served."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from werkzeug.test import Client
from werkzeug.wrappers import Request, Response

from strongback.exceptions import ConfigurationError
from strongback.web.static_files import StaticFiles


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """The folder of a slice."""
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "shop.css").write_text("p { color: green }")
    (folder / "basket.js").write_text('import "./total.js"')
    (folder / "total.js").write_text("export {}")
    (folder / ".secret").write_text("x")
    return folder


@pytest.fixture
def static_files(shop: Path) -> StaticFiles:
    """The static files in development."""
    files = StaticFiles()
    files.add("shop", shop)
    files.name("basket", "shop/basket.js")
    return files


@Request.application
def elsewhere(request: Request) -> Response:
    """An application without static files."""
    return Response(f"application {request.path}", 404)


def test_development_serves_a_file_at_its_plain_address(static_files: StaticFiles):
    assert static_files.url("shop/shop.css") == "/static/shop/shop.css"
    client = Client(static_files.in_front_of(elsewhere))
    response = client.get("/static/shop/shop.css", buffered=True)
    assert (response.status_code, response.text) == (200, "p { color: green }")
    assert response.headers["Cache-Control"] == "no-cache"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Cross-Origin-Resource-Policy"] == "same-origin"


def test_development_serves_a_change_at_once(static_files: StaticFiles, shop: Path):
    client = Client(static_files.in_front_of(elsewhere))
    client.get("/static/shop/shop.css", buffered=True)
    (shop / "shop.css").write_text("p { color: red }  ")
    assert client.get("/static/shop/shop.css", buffered=True).text == "p { color: red }  "


def test_a_folder_that_is_added_later_is_served(static_files: StaticFiles, shop: Path):
    client = Client(static_files.in_front_of(elsewhere))
    static_files.add("other", shop)
    assert client.get("/static/other/shop.css", buffered=True).status_code == 200


def test_the_import_map_of_development_has_the_bare_names_alone(static_files: StaticFiles):
    assert static_files.import_map == '{"imports":{"basket":"/static/shop/basket.js"}}'


@pytest.mark.parametrize(
    "file, complaint",
    [
        ("shop/none.css", "there is no none.css in"),
        ("none/shop.css", "no folder is named none (shop)"),
        ("shop", "there is no  in"),
        ("", "no folder is named"),
    ],
)
def test_an_unknown_file_is_named(static_files: StaticFiles, file: str, complaint: str):
    with pytest.raises(ConfigurationError, match=re.escape(complaint)):
        static_files.url(file)


@pytest.mark.parametrize("name", ["", "Shop", "a/b", "..", "shöp", "1"])
def test_a_folder_has_a_name_that_needs_no_quoting(shop: Path, name: str):
    with pytest.raises(ConfigurationError, match="begin with a small letter"):
        StaticFiles().add(name, shop)


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path):
    with pytest.raises(ConfigurationError, match="there is no folder"):
        StaticFiles().add("shop", tmp_path / "none")


def test_two_folders_of_one_name_are_refused(static_files: StaticFiles, tmp_path: Path):
    with pytest.raises(ConfigurationError, match="static folder shop"):
        static_files.add("shop", tmp_path)


def test_two_files_of_one_bare_name_are_refused(static_files: StaticFiles):
    with pytest.raises(ConfigurationError, match="module name basket"):
        static_files.name("basket", "shop/total.js")
