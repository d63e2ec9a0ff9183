"""Built static files in a real browser: what it asks for, and what it refuses to run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import pytest
from playwright.sync_api import Browser, Page, expect

from strongback.config import Settings
from strongback.web import Response
from strongback.web.http_app import HTTPApp
from strongback.web.page import PageBlueprint, render
from strongback.web.static_build import build
from tests.support.page_check import PageCheck, serve

TEMPLATE = """{% extends "strongback/layout.html" %}
{% block content %}<h1>Shop</h1><p id="sum"></p>{% endblock %}"""
BASKET = """import { total } from "./core/total.js";
import { name } from "name";
import "centrifuge";
document.getElementById("sum").textContent = `${name} ${total} ${typeof Centrifuge}`;
"""


class Shop:
    """An application with modules, built, and what browsers have asked it for."""

    def __init__(
        self, settings: Settings, folder: Path, browser: Browser, compressed: Path
    ) -> None:
        self.compressed = compressed
        self.settings = settings.model_copy(update={"web_static_dir": folder / "built"})
        self.sources, self.built = folder / "static", folder / "built"
        (self.sources / "core").mkdir(parents=True)
        (self.sources / "basket.js").write_text(BASKET)
        (self.sources / "name.js").write_text('export const name = "sum";')
        (self.sources / "core" / "total.js").write_text("export const total = 7;")
        (folder / "shop.html").write_text(TEMPLATE)
        self.folder, self.browser = folder, browser
        self.asked: list[str] = []

    @property
    def app(self) -> HTTPApp:
        app = HTTPApp("shop", self.settings, title="Shop", version="1")
        pages = PageBlueprint("shop", __name__)

        @pages.get("/shop")
        def show_shop() -> Response:
            return render("shop/shop.html")

        app.register_blueprint(pages)
        app.pages.add("shop", self.folder)
        app.pages.modules.append("shop/basket.js")
        app.static_files.add("shop", self.sources, entries=["basket.js"])
        app.static_files.name("name", "shop/name.js")
        app.wsgi_app = self._counting(app.wsgi_app)  # type: ignore[method-assign,assignment]  # as Flask's docs wrap it
        return app

    def _counting(self, application: WSGIApplication) -> WSGIApplication:
        def counting(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            self.asked.append(environ["PATH_INFO"])
            return application(environ, start_response)

        return counting

    def tamper_with(self, name: str) -> None:
        """Write other code into a built module."""
        for path in (self.built / "shop").glob(f"{name}.*.js"):
            path.write_text("document.title = 'taken over'; export const total = 666;")

    def build(self) -> None:
        files = self.app.static_files.files()
        build(files, self.built, built_before=self.compressed)


@pytest.fixture
def shop(settings: Settings, tmp_path: Path, browser: Browser, compressed_static: Path) -> Shop:
    shop = Shop(settings, tmp_path, browser, compressed_static)
    shop.build()
    return shop


@pytest.fixture
def page(shop: Shop, browser: Browser) -> Iterator[Page]:
    """A tab on the page of the shop."""
    with serve(shop.app) as address, browser.new_page(base_url=address) as page:
        yield page


def test_modules_find_each_other_by_path_and_by_bare_name(shop: Shop, browser: Browser):
    with serve(shop.app) as address, PageCheck(browser, address).page("/shop") as page:
        expect(page.locator("#sum")).to_have_text("sum 7 function")


def test_a_reload_asks_for_the_page_alone(shop: Shop, page: Page):
    page.goto("/shop")
    expect(page.locator("#sum")).to_have_text("sum 7 function")
    assert len(shop.asked) > 5
    shop.asked.clear()
    page.reload()
    expect(page.locator("#sum")).to_have_text("sum 7 function")
    assert shop.asked == ["/shop"]


def test_a_changed_file_is_seen_at_the_next_visit(shop: Shop, browser: Browser):
    with browser.new_context() as context:
        page = context.new_page()
        with serve(shop.app) as address:
            page.goto(f"{address}/shop")
            expect(page.locator("#sum")).to_have_text("sum 7 function")
        (shop.sources / "core" / "total.js").write_text("export const total = 8;")
        shop.build()
        with serve(shop.app) as address:
            page.goto(f"{address}/shop")
            expect(page.locator("#sum")).to_have_text("sum 8 function")


def test_a_module_that_was_tampered_with_is_not_run(shop: Shop, page: Page):
    shop.tamper_with("core/total")
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.goto("/shop")
    expect(page.get_by_role("heading", name="Shop")).to_be_visible()
    assert any("integrity" in each for each in complaints)
    assert page.title() == "Shop"
    expect(page.locator("#sum")).to_have_text("")


def test_an_entry_that_was_tampered_with_is_not_run(shop: Shop, page: Page):
    shop.tamper_with("basket")
    page.goto("/shop")
    assert [path for path in shop.asked if path.startswith("/static/shop/basket.")]
    assert page.title() == "Shop"
