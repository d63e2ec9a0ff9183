"""Built static files: names, compressed versions, the manifest, and how they are served."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import time
from base64 import b64encode
from datetime import timedelta
from pathlib import Path

import brotli
import pytest
from werkzeug.test import Client, TestResponse
from werkzeug.wrappers import Request, Response

from strongback.exceptions import ConfigurationError
from strongback.web.static_build import build, hashed_name, prune
from strongback.web.static_files import StaticFiles

STYLE = b"p { color: green }\n" * 200
SHOP_STYLE = f"shop/shop.{hashlib.sha256(STYLE).hexdigest()[:12]}.css"
WEEK = timedelta(days=7)


@Request.application
def elsewhere(request: Request) -> Response:
    """An application without static files."""
    return Response(f"application {request.path}", 404)


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """The folder of a slice."""
    folder = tmp_path / "shop"
    (folder / "core").mkdir(parents=True)
    (folder / "shop.css").write_bytes(STYLE)
    (folder / "basket.js").write_text('import "./core/total.js"')
    (folder / "core" / "total.js").write_text("export {}")
    (folder / "dot.png").write_bytes(os.urandom(64))
    return folder


def files_of(shop: Path, built: Path | None = None) -> StaticFiles:
    files = StaticFiles(built)
    files.add("shop", shop)
    files.name("basket", "shop/basket.js")
    return files


@pytest.fixture
def built(shop: Path, tmp_path: Path) -> Path:
    """The folder that a build has written."""
    target = tmp_path / "built"
    build(files_of(shop).files(), target)
    return target


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def get(client: Client, address: str, **headers: str) -> TestResponse:
    return client.get(address, headers=list(headers.items()), buffered=True)


@pytest.fixture
def client(shop: Path, built: Path) -> Client:
    """A client of the built files."""
    return Client(files_of(shop, built).in_front_of(elsewhere))


def test_a_file_gets_a_name_with_its_hash(shop: Path, built: Path):
    assert (built / SHOP_STYLE).read_bytes() == STYLE
    assert files_of(shop, built).url("shop/shop.css") == f"/static/{SHOP_STYLE}"


@pytest.mark.parametrize(
    "name, expected",
    [("a/b.min.js", r"a/b.min.{}.js"), ("a/LICENSE", "a/LICENSE.{}"), ("a.b/c", "a.b/c.{}")],
)
def test_the_hash_stands_before_the_last_ending(name: str, expected: str):
    assert hashed_name(name, b"") == expected.format("e3b0c44298fc")


def test_gzip_and_brotli_lie_beside_a_file_that_they_make_smaller(built: Path):
    assert gzip.decompress((built / f"{SHOP_STYLE}.gz").read_bytes()) == STYLE
    assert brotli.decompress((built / f"{SHOP_STYLE}.br").read_bytes()) == STYLE
    assert not [name for name in contents(built) if ".png." in name]


def test_the_same_sources_give_the_same_bytes(shop: Path, built: Path, tmp_path: Path):
    for path in shop.rglob("*"):
        os.utime(path, (1, 1))
    build(files_of(shop).files(), tmp_path / "again")
    assert contents(tmp_path / "again") == contents(built)


def test_a_build_takes_compressed_versions_from_an_earlier_one(
    shop: Path, built: Path, tmp_path: Path
):
    (built / f"{SHOP_STYLE}.br").write_bytes(b"as it was built")
    build(files_of(shop).files(), tmp_path / "copy", built_before=built)
    assert contents(tmp_path / "copy") == contents(built)


def test_a_changed_file_gets_another_name_and_the_old_one_stays(shop: Path, built: Path):
    (shop / "shop.css").write_text("p { color: red }")
    build(files_of(shop).files(), built)
    client = Client(files_of(shop, built).in_front_of(elsewhere))
    address = files_of(shop, built).url("shop/shop.css")
    assert get(client, address).text == "p { color: red }"
    assert get(client, f"/static/{SHOP_STYLE}").data == STYLE


def test_pruning_deletes_what_no_build_has_listed_for_a_week(shop: Path, built: Path):
    aged = time.time() - 8 * 86400
    (shop / "shop.css").write_text("p { color: red }")
    build(files_of(shop).files(), built)
    assert prune(built, WEEK) == 0
    for path in built.rglob("*"):
        os.utime(path, (aged, aged))
    assert prune(built, WEEK) == 1
    left = contents(built)
    assert not [name for name in left if name.startswith(SHOP_STYLE)]
    assert set(json.loads(left["staticfiles.json"])["paths"].values()) <= set(left)


def test_a_file_that_is_deleted_while_it_is_served_is_left_to_the_application(
    client: Client, built: Path
):
    (built / SHOP_STYLE).unlink()
    assert get(client, f"/static/{SHOP_STYLE}").text.startswith("application ")


def test_pruning_keeps_what_the_last_build_lists_however_old(shop: Path, built: Path):
    before = contents(built)
    os.utime(built / SHOP_STYLE, (1, 1))
    assert prune(built, timedelta(0)) == 0
    assert contents(built) == before


def test_pruning_leaves_what_is_not_of_a_build(built: Path):
    (built / "robots.txt").touch()
    os.utime(built / "robots.txt", (1, 1))
    prune(built, timedelta(0))
    assert (built / "robots.txt").exists()


def test_a_build_that_was_killed_leaves_nothing_for_good(built: Path):
    (built / ".build-0").mkdir()
    os.utime(built / ".build-0", (1, 1))
    prune(built, WEEK)
    assert not (built / ".build-0").exists()


def test_the_import_map_has_bare_names_own_addresses_and_checksums(shop: Path, built: Path):
    files = files_of(shop, built)
    total, basket = files.url("shop/core/total.js"), files.url("shop/basket.js")
    checksum = b64encode(hashlib.sha384(b"export {}").digest()).decode()
    known = json.loads(files.import_map)
    assert known["imports"] == {
        "basket": basket,
        "/static/shop/basket.js": basket,
        "/static/shop/core/total.js": total,
    }
    assert known["integrity"][total] == f"sha384-{checksum}"
    assert known["integrity"].keys() == {basket, total}


def test_the_import_map_leaves_out_scripts_that_are_no_modules(shop: Path, built: Path):
    files = StaticFiles(built)
    files.add("shop", shop, has_modules=False)
    assert files.import_map == '{"imports":{}}'


def test_an_entry_has_its_checksum_in_its_element_and_is_not_in_the_import_map(
    shop: Path, built: Path
):
    files = StaticFiles(built)
    files.add("shop", shop, entries=["basket.js"])
    checksum = b64encode(hashlib.sha384((shop / "basket.js").read_bytes()).digest()).decode()
    basket, total = files.url("shop/basket.js"), files.url("shop/core/total.js")
    assert files.script("shop/basket.js") == (
        f'<script type="module" src="{basket}" integrity="sha384-{checksum}"></script>'
    )
    assert files.script("shop/core/total.js") == f'<script type="module" src="{total}"></script>'
    assert [*json.loads(files.import_map)["integrity"]] == [total]


def test_an_entry_that_is_not_there_is_an_error(shop: Path):
    with pytest.raises(ConfigurationError, match=r"there is no start\.js in"):
        StaticFiles().add("shop", shop, entries=["start.js"])


def test_the_import_map_is_allowed_by_its_hash(shop: Path, built: Path):
    files = files_of(shop, built)
    digest = b64encode(hashlib.sha256(files.import_map.encode()).digest()).decode()
    assert files.import_map_hash == f"'sha256-{digest}'"


def test_a_built_file_is_kept_by_browsers_for_ever(client: Client):
    headers = get(client, f"/static/{SHOP_STYLE}").headers
    assert "immutable" in headers["Cache-Control"]
    assert headers["ETag"] == f'"{SHOP_STYLE.split(".")[1]}"'
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "Access-Control-Allow-Origin" not in headers


@pytest.mark.parametrize(
    "encodings, expected",
    [("gzip, br", "br"), ("gzip", "gzip"), ("", None), ("br;q=0, *;q=0.1", None)],
)
def test_a_browser_gets_the_smallest_version_that_it_takes(
    client: Client, encodings: str, expected: str | None
):
    response = get(client, f"/static/{SHOP_STYLE}", **{"Accept-Encoding": encodings})
    assert response.headers.get("Content-Encoding") == expected
    assert response.headers["Content-Type"] == 'text/css; charset="utf-8"'
    assert response.headers["Vary"] == "Accept-Encoding"


def test_a_current_copy_gets_a_304(client: Client):
    tag = get(client, f"/static/{SHOP_STYLE}").headers["ETag"]
    response = get(client, f"/static/{SHOP_STYLE}", **{"If-None-Match": tag})
    assert (response.status_code, response.data) == (304, b"")


def test_a_head_request_gets_the_headers_alone(client: Client):
    response = client.head(f"/static/{SHOP_STYLE}")
    assert (response.status_code, response.data) == (200, b"")
    assert response.headers["Content-Length"] == str(len(STYLE))


@pytest.mark.parametrize("asked", ["bytes=0-0", "bytes=5-", "bytes=-1", "bytes=9-3", "x"])
def test_a_range_gets_the_whole_file(client: Client, asked: str):
    response = get(client, f"/static/{SHOP_STYLE}", Range=asked)
    assert (response.status_code, response.data) == (200, STYLE)


@pytest.mark.parametrize(
    "path",
    [
        "/static/shop/shop.css",
        "/static/shop/../shop.css",
        "/static/..%2fshop/shop.css",
        "/static/%2e%2e/%2e%2e/etc/passwd",
        "/static//etc/passwd",
        "/static/shop/%00",
        "/static/shop\\shop.css",
        "/static/shop/%ff",
        "/static/shop/" + "a" * 5000,
        "/static/",
        "/static",
        "/static/shop",
        f"/static/{SHOP_STYLE}/",
        f"/static/{SHOP_STYLE}/x",
        f"/static/{SHOP_STYLE}%00",
        f"/static/{SHOP_STYLE.upper()}",
    ],
)
@pytest.mark.parametrize("is_built", [True, False])
def test_an_odd_path_is_left_to_the_application(shop: Path, built: Path, path: str, is_built: bool):
    files = files_of(shop, built if is_built else None)
    response = get(Client(files.in_front_of(elsewhere)), path)
    if path == "/static/shop/shop.css" and not is_built:
        assert response.data == STYLE
    else:
        assert response.text.startswith("application ")


def test_a_file_that_is_not_built_is_named_with_the_remedy(shop: Path, built: Path):
    (shop / "new.css").touch()
    files = files_of(shop, built)
    with pytest.raises(ConfigurationError, match=r"shop/new.css: .* flask static build"):
        files.url("shop/new.css")
    with pytest.raises(ConfigurationError, match=r"shop/new.css: .* flask static build"):
        files.check()


def test_a_folder_without_a_build_is_named_with_the_remedy(shop: Path, tmp_path: Path):
    files = files_of(shop, tmp_path / "none")
    with pytest.raises(ConfigurationError, match=r"WEB_STATIC_DIR: .* flask static build"):
        files.check()


def test_a_complete_build_passes_the_check(shop: Path, built: Path):
    assert files_of(shop, built).check() == f"Static files are built: {built}"
