"""Nginx as a deployment has it: its own errors as pages or JSON, and built static files."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import brotli
import httpx
import pytest
from playwright.sync_api import Browser

from strongback.config import Settings
from strongback.testing.port import free_port
from strongback.web.http_app import HTTPApp
from strongback.web.static_build import build
from tests.support.front import Front, run_front, slow_bodies
from tests.support.nginx import run_server
from tests.support.page_check import PageCheck, View, in_views

pytestmark = pytest.mark.usefixtures("nginx")
BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
MODULE = b"export const total = 7;\n" * 100


@pytest.fixture(scope="module")
def dead(nginx: None) -> Iterator[Front]:
    """Nginx before an application that is not there."""
    with run_front([free_port()], NGINX_MAX_BODY="1000") as front:
        yield front


@pytest.mark.parametrize(
    "path, headers",
    [
        ("/", {}),
        ("/", {"Accept": "*/*"}),
        ("/api/v1/articles", BROWSER),
        ("/static/shop/shop.css", BROWSER),
    ],
)
def test_errors_are_json_for_the_api_and_for_clients(dead, path, headers):
    response = httpx.get(dead.address + path, headers=headers)
    assert (response.status_code, response.json()["error_code"]) == (502, 10017)


def test_errors_are_pages_for_browsers(dead):
    response = httpx.get(dead.address, headers=BROWSER | {"X-Request-ID": "abc"})
    assert response.status_code == 502
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    assert response.headers["Retry-After"] == "2"
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Content-Security-Policy"].startswith("default-src 'none';")
    assert "<code>abc</code>" in response.text


@pytest.mark.parametrize(
    "query, accepted, expected",
    [
        ("", "zh-CN", "应用没有应答"),
        ("?language=zh", "en", "应用没有应答"),
        ("?language=en", "zh", "did not answer"),
        ("?tag=zh", "en", "did not answer"),
    ],
)
def test_pages_are_in_the_language_that_is_chosen(dead, query, accepted, expected):
    headers = BROWSER | {"Accept-Language": accepted}
    assert expected in httpx.get(f"{dead.address}/{query}", headers=headers).text


def test_a_body_that_is_too_large_gets_a_page(dead):
    response = httpx.post(f"{dead.address}/sign-in", content=b"x" * 2000, headers=BROWSER)
    assert (response.status_code, response.text[:9]) == (413, "<!doctype")


def test_too_many_requests_get_a_page_or_json():
    with run_front([free_port()], NGINX_CONNECTIONS="1") as front, slow_bodies(front, 1):
        page = httpx.get(front.address, headers=BROWSER)
        data = httpx.get(front.address)
    assert (page.status_code, page.text[:9]) == (429, "<!doctype")
    assert (data.status_code, data.json()["error_code"]) == (429, 10014)
    assert page.headers["Retry-After"] == data.headers["Retry-After"] == "1"


@in_views
def test_the_page_is_sound(dead, browser: Browser, view: View):
    PageCheck(browser, dead.address).examine("/", view, name="nginx-error", status=502)


@pytest.fixture
def module(settings: Settings, tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """The address of a module at Nginx, and Nginx's own copy; the application has one too."""
    files = [("shop/total.mjs", tmp_path / "total.mjs")]
    files[0][1].write_bytes(MODULE)
    build(files, tmp_path / "built")
    app = HTTPApp(
        "shop",
        settings.model_copy(update={"web_static_dir": tmp_path / "built"}),
        title="Shop",
        version="1",
    )
    address = app.static_files.url("shop/total.mjs")
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)  # Nginx's workers are another user
        build(files, Path(name) / "static", built_before=tmp_path / "built")
        with run_server(app) as port, run_front([port], NGINX_STATIC_ROOT=name) as front:
            yield front.address + address, Path(name + address)


def test_a_built_module_is_sent_as_browsers_run_it_and_keep_it(module):
    address, _ = module
    with httpx.stream("GET", address, headers={"Accept-Encoding": "gzip, br"}) as response:
        assert brotli.decompress(b"".join(response.iter_raw())) == MODULE
    assert response.headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert response.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert response.headers["Cross-Origin-Resource-Policy"] == "same-origin"


def test_a_file_that_nginx_lacks_is_asked_of_the_application(module):
    address, copy = module
    for path in copy.parent.iterdir():
        path.unlink()
    response = httpx.get(address)
    assert (response.status_code, response.content) == (200, MODULE)
    assert "immutable" in response.headers["Cache-Control"]
