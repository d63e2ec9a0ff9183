"""Pages: the frame, its headers and languages, and errors as pages."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from werkzeug.test import run_wsgi_app

from app.core.config import ROOT
from strongback.config import Settings
from strongback.exceptions import ConfigurationError, TooManyRequests
from strongback.web import Response
from strongback.web.http_app import HTTPApp
from strongback.web.page import PageBlueprint, render
from tests.support.catalogue import catalogue

TEMPLATE = """{% extends "strongback/layout.html" %}
{% block title %}Shop{% endblock %}
{% block content %}<h1>{{ name }}</h1>{% endblock %}"""


@pytest.fixture
def client(bare: HTTPApp, tmp_path: Path) -> FlaskClient:
    """A client of an application with a page, a route of data and an error."""
    (tmp_path / "shop.html").write_text(TEMPLATE)
    pages = PageBlueprint("shop", __name__)

    @pages.get("/shop")
    def show_shop() -> Response:
        return render("shop/shop.html", name="<Tea & Co>")

    @pages.get("/busy")
    def be_busy() -> Response:
        raise TooManyRequests(headers={"Retry-After": "7"})

    @pages.get("/broken")
    def break_down() -> Response:
        raise RuntimeError("a secret of the house")

    bare.pages.add("shop", tmp_path)
    bare.pages.link("/shop", "Shop")
    bare.register_blueprint(pages)
    bare.add_url_rule("/data", view_func=lambda: {"a": 1})
    bare.debug = False
    return bare.test_client()


def test_values_are_escaped_in_the_frame_of_the_application(client: FlaskClient):
    page = client.get("/shop")
    assert page.mimetype == "text/html"
    assert page.text.startswith("<!doctype html>\n")
    assert "<h1>&lt;Tea &amp; Co&gt;</h1>" in page.text
    assert '<a href="/shop" aria-current="page">Shop</a>' in page.text


def test_a_page_has_a_policy_of_its_own_and_data_keeps_that_of_the_api(client: FlaskClient):
    policies = client.get("/shop").headers.getlist("Content-Security-Policy")
    assert len(policies) == 1
    assert "script-src 'self'" in policies[0]
    assert "unsafe" not in policies[0]
    assert "script-src" not in client.get("/data").headers["Content-Security-Policy"]


def test_a_page_is_revalidated_and_the_304_repeats_its_headers(client: FlaskClient):
    page = client.get("/shop")
    again = client.get("/shop", headers={"If-None-Match": page.headers["ETag"]})
    assert again.status_code == 304
    for name in ("Content-Security-Policy", "Vary", "ETag", "Referrer-Policy"):
        assert again.headers[name] == page.headers[name]


def test_the_address_chooses_the_language_before_the_browser(client: FlaskClient):
    chinese = {"Accept-Language": "zh-CN"}
    assert '<html lang="zh">' in client.get("/shop", headers=chinese).text
    page = client.get("/shop?language=en", headers=chinese)
    assert '<html lang="en">' in page.text
    assert page.headers["Content-Language"] == "en"
    assert page.headers["Vary"] == "Accept-Language"
    assert 'href="/shop?language=zh" hreflang="zh" lang="zh">中文<' in page.text
    assert '<html lang="en">' in client.get("/shop?language=xx").text


def test_an_error_of_a_page_is_a_page_for_every_client(client: FlaskClient):
    page = client.get("/busy")
    assert page.status_code == 429
    assert page.mimetype == "text/html"
    assert page.headers["Retry-After"] == "7"
    assert page.headers["Cache-Control"] == "no-store"
    assert f"<code>{page.headers['X-Request-ID']}</code>" in page.text


def test_a_defect_of_a_page_tells_nothing_about_itself(client: FlaskClient):
    page = client.get("/broken")
    assert page.status_code == 500
    assert "secret" not in page.text


@pytest.mark.parametrize(
    "path, accept, kind",
    [
        ("/nowhere", "text/html,*/*;q=0.8", "text/html"),
        ("/nowhere", "*/*", "application/json"),
        ("/api/v1/nowhere", "text/html", "application/json"),
    ],
    ids=["browser", "curl", "api"],
)
def test_an_address_without_a_route_is_a_page_for_browsers_alone(
    client: FlaskClient, path: str, accept: str, kind: str
):
    response = client.get(path, headers={"Accept": accept})
    assert response.status_code == 404
    assert response.mimetype == kind


@pytest.mark.parametrize("path", ["//evil.example/x", "///evil.example", "/\\evil.example"])
def test_no_page_leads_to_another_server_by_its_own_path(client: FlaskClient, path: str):
    environ = client.application.test_request_context("/").request.environ
    # A test client would read its host from such a path.
    body, status, _ = run_wsgi_app(
        client.application, environ | {"PATH_INFO": path, "HTTP_ACCEPT": "text/html"}
    )
    page = b"".join(body).decode()
    assert status.startswith("404")
    addresses = re.findall(r'href="([^"]*evil[^"]*)"', page)
    assert addresses
    assert all(re.match(r"/(?![/\\])", each) for each in addresses)


def test_two_folders_of_templates_cannot_have_one_name(bare: HTTPApp, tmp_path: Path):
    bare.pages.add("shop", tmp_path)
    with pytest.raises(ConfigurationError, match="folder of templates shop"):
        bare.pages.add("shop", tmp_path / "other")


@pytest.mark.parametrize(
    "templates", [ROOT / "src/strongback/web/template", *(ROOT / "app").glob("*/template")], ids=str
)
def test_every_text_of_a_template_is_translated(templates: Path):
    catalogues = [ROOT / "src/strongback/translation", templates.parent / "translation"]
    known = set().union(*(catalogue(each, "zh") for each in catalogues if each.exists()))
    texts = [
        text
        for path in templates.rglob("*.html")
        for text in re.findall(r"""\b_\(\s*["'](.+?)["']\s*[,)]""", path.read_text())
    ]
    assert [text for text in texts if text not in known] == []


def test_an_edited_template_or_another_address_is_another_edition(
    bare: HTTPApp, settings: Settings, tmp_path: Path
):
    """Pages that an earlier release has left in Redis are not served by this one."""
    template = tmp_path / "shop.html"
    template.write_text("one")
    bare.pages.add("shop", tmp_path)
    first = bare.pages.edition
    assert bare.pages.edition == first
    os.utime(template, (1, 1))
    assert bare.pages.edition != first
    changes = {"app_url": "https://shop.example.com"}
    other = HTTPApp("other", settings.model_copy(update=changes), title="Bare", version="1.0")
    other.pages.add("shop", tmp_path)
    assert other.pages.edition != bare.pages.edition
