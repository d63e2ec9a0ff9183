"""The frame in a real browser: every width, scheme and language, and the choice of a theme."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from strongback.config import Settings
from strongback.exceptions import NotFound
from strongback.web import Response
from strongback.web.http_app import HTTPApp
from strongback.web.page import PageBlueprint, render
from tests.support.page_check import PageCheck, View, in_views, serve

TEMPLATE = """{% extends "strongback/layout.html" %}
{% block content %}<h1>Shop</h1><p>Tea and <a href="/shop">more</a>.</p>{% endblock %}"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("template")


@pytest.fixture
def check(settings: Settings, browser: Browser, folder: Path) -> Iterator[PageCheck]:
    """An application with a page and an error."""
    (folder / "shop.html").write_text(TEMPLATE)
    app = HTTPApp("shop", settings, title="Shop", version="1")
    pages = PageBlueprint("shop", __name__)

    @pages.get("/shop")
    def show_shop() -> Response:
        return render("shop/shop.html")

    @pages.get("/gone")
    def show_nothing() -> Response:
        raise NotFound

    app.pages.add("shop", folder)
    app.pages.link("/shop", "Tea")
    app.pages.link("/docs", "API", has_language=False)
    app.pages.search = "/search"
    app.pages.sign_in = "/sign-in"
    app.register_blueprint(pages)
    with serve(app) as address:
        yield PageCheck(browser, address)


@in_views
def test_the_frame_is_sound(check: PageCheck, view: View):
    check.examine("/shop", view, name="frame")


@in_views
def test_an_error_is_sound(check: PageCheck, view: View):
    check.examine("/gone", view, name="frame-error", status=404)


def test_the_chosen_theme_stays_and_is_there_before_anything_is_drawn(check: PageCheck):
    with check.page("/shop", View(scheme="light")) as page:
        root = page.locator("html")
        page.get_by_role("button", name="Light or dark").click()
        expect(root).to_have_attribute("data-theme", "dark")
        expect(page.locator("body")).to_have_css("color", "rgb(231, 238, 235)")
        page.reload(wait_until="commit")
        expect(root).to_have_attribute("data-theme", "dark")
        page.get_by_role("button", name="Light or dark").click()
        expect(root).not_to_have_attribute("data-theme", "dark")


def test_without_javascript_there_is_no_button_that_does_nothing(check: PageCheck):
    with check.page("/shop", javascript=False) as page:
        expect(page.get_by_role("heading", name="Shop")).to_be_visible()
        expect(page.locator(".theme")).not_to_be_visible()
