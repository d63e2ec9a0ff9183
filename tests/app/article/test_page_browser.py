"""The public pages in Chromium, from built static files: every width, scheme and language."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from app.article.cli import import_path
from app.comment.service import CommentService
from app.core.config import ROOT, Settings
from app.main import create_app
from app.user.service import UserService
from strongback.app import Strongback
from strongback.database import Base
from strongback.search import Search
from strongback.testing import empty
from tests.support.page_check import PageCheck, View, in_views, serve

PAGES = {
    "list": {"en": "/", "zh": "/?language=zh"},
    "article": {"en": "/articles/guide-errors", "zh": "/articles/guide-errors-zh"},
    "tags": {"en": "/tags?language=en", "zh": "/tags?language=zh"},
    "authors": {"en": "/authors?language=en", "zh": "/authors?language=zh"},
    "search": {"en": "/search?q=cache&language=en", "zh": "/search?q=缓存&language=zh"},
}
ERRORS = {"missing": ("/articles/none", 404), "refused": ("/?page=x", 422)}
GUIDES = ("cache", "errors", "http")
HTML, STYLE_AND_THEME, READING = 9_000, 6_000, 15_000
"""Bytes over the wire, headers included."""


@pytest.fixture(scope="module")
def check(
    browser: Browser,
    loaded_settings: Settings,
    tmp_path_factory: pytest.TempPathFactory,
    compressed_static: Path,
) -> Iterator[PageCheck]:
    """The application with some guides to read, behind a browser."""
    folder = tmp_path_factory.mktemp("reading")
    settings = loaded_settings.model_copy(
        update={
            "app_var_dir": folder,
            "web_rate_limits": False,
            "web_static_dir": compressed_static,
        }
    )
    app = create_app(settings)
    fill(app, folder / "docs" / "guide")
    with serve(app) as address:
        yield PageCheck(browser, address)
    app.close()


def fill(app: Strongback, folder: Path) -> None:
    """Import guides in both languages, with comments."""
    folder.mkdir(parents=True)
    for guide in GUIDES:
        for suffix in (".md", ".zh.md"):
            shutil.copy(ROOT / "docs/guide" / f"{guide}{suffix}", folder)
    shutil.copy(ROOT / "docs/architecture.md", folder.parent)
    empty(app.database, Base.metadata)
    with app.app_context(), app.database.scope():
        app.services[UserService].ensure_system_account("ada")
        import_path(folder.parent, author="ada")
        app.services[Search].maintain("article")
        comments = app.services[CommentService]
        for slug in ("guide-errors", "guide-errors-zh"):
            written = comments.create(slug, "Does it hold?\n\nI mean, really?", "ada")
            comments.create(slug, "是的。", "ada", reply_to=written.id)


@in_views
@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_sound(check: PageCheck, name: str, view: View):
    check.examine(PAGES[name], view, name=name)


@in_views
@pytest.mark.parametrize("name", ERRORS)
def test_an_error_is_a_sound_page(check: PageCheck, name: str, view: View):
    path, status = ERRORS[name]
    check.examine(path, view, name=name, status=status)


def test_a_reading_page_keeps_within_its_bytes(check: PageCheck):
    """The page of a text that takes six minutes to read."""
    with check.page("/articles/architecture", View(390)):
        pass
    sizes, total = check.report.sizes, check.report.bytes
    style = sum(size for file, size in sizes.items() if re.search(r"\.css|theme", file))
    assert 0 < total["Document"] <= HTML
    assert 0 < style <= STYLE_AND_THEME
    assert total["Document"] + style <= READING


def test_without_javascript_people_read_search_and_turn_pages(check: PageCheck):
    with check.page("/?language=en", javascript=False) as page:
        page.get_by_role("searchbox").fill("error numbers")
        page.get_by_role("searchbox").press("Enter")
        # Each page is waited for as a whole: what is left while it loads counts as failed.
        page.wait_for_url(re.compile(r"/search\?"))
        page.get_by_role("link", name="Errors", exact=True).first.click()
        page.wait_for_url("/articles/guide-errors")
        expect(page.get_by_role("heading", level=1, name="Errors")).to_be_visible()
        page.get_by_role("navigation", name="Contents").get_by_role("link").first.click()
        expect(page).to_have_url(re.compile("#user-content-"))
        page.locator("header .facts").get_by_role("link", name="中文").click()
        page.wait_for_url("/articles/guide-errors-zh")
        expect(page.get_by_role("heading", level=1, name="错误")).to_be_visible()
        page.get_by_role("navigation", name="主导航").get_by_role("link", name="文章").click()
        expect(page).to_have_url(re.compile(r"/\?language=zh$"))


@pytest.mark.parametrize(
    "locale, copy, copied", [("en", "Copy", "Copied"), ("zh", "复制", "已复制")]
)
def test_a_key_copies_a_code_block_and_says_so(
    check: PageCheck, locale: str, copy: str, copied: str
):
    clipboard = ["clipboard-read", "clipboard-write"]
    path = PAGES["article"][locale]
    with check.page(path, View(locale=locale), permissions=clipboard) as page:
        blocks = page.locator(".text pre")
        expect(page.get_by_role("button", name=copy)).to_have_count(blocks.count())
        blocks.first.focus()
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        expect(page.get_by_role("status").first).to_have_text(copied)
        assert page.evaluate("navigator.clipboard.readText()") == blocks.first.text_content()


def test_a_code_block_that_may_not_be_copied_is_selected(check: PageCheck):
    with check.page("/articles/guide-errors") as page:
        selected = page.get_by_role("button", name="Copy").first.evaluate("""async (button) => {
              navigator.clipboard.writeText = () => Promise.reject(new Error("forbidden"));
              button.click();
              await new Promise(setTimeout);
              return getSelection().toString();
            }""")
        assert selected.strip() == page.locator(".text pre").first.inner_text().strip()
        expect(page.get_by_role("status").first).to_have_text("")


def test_without_javascript_nothing_offers_to_copy(check: PageCheck):
    with check.page("/articles/guide-errors", javascript=False) as page:
        expect(page.locator(".text pre").first).to_be_visible()
        expect(page.get_by_role("button", name="Copy")).to_have_count(0)


def test_a_comment_is_shown_as_it_was_written(check: PageCheck):
    with check.page("/articles/guide-errors") as page:
        said = page.locator(".said").first
        expect(said).to_have_css("white-space", "pre-wrap")
        expect(said).to_have_attribute("dir", "auto")
        page.get_by_role("link", name="in reply").click()
        expect(page.locator(".comments li:target")).to_contain_text("Does it hold?")


def test_print_leaves_the_text_alone(check: PageCheck):
    with check.page("/articles/guide-errors") as page:
        page.emulate_media(media="print")
        for part in (".bar", ".contents", ".comments", ".around"):
            expect(page.locator(part)).to_be_hidden()
        expect(page.get_by_role("heading", level=1, name="Errors")).to_be_visible()
        page.evaluate("examined.shift = 0")  # of the change to paper


@pytest.mark.parametrize("zoom", ["320px", "forced colours"])
def test_a_small_or_forced_view_has_everything(check: PageCheck, zoom: str):
    view = View(320 if zoom == "320px" else 1280)
    with check.page("/articles/guide-cache", view) as page:
        if zoom != "320px":
            page.emulate_media(forced_colors="active", reduced_motion="reduce")
        sizes = page.evaluate("[document.documentElement.scrollWidth, screen.width]")
        assert sizes[0] <= sizes[1]
        expect(page.get_by_role("heading", level=1, name="Cache")).to_be_visible()
