"""The page of the API in a real browser, on a real server, with static files that are built."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from app.core.config import Settings
from strongback.config import load_settings
from strongback.testing.port import free_port
from strongback.web.static_build import build
from tests.support.page_check import PageCheck, View, serve
from tests.support.sign_in import PASSWORD, Client

MEGABYTE = 1 << 20
MAX_BYTES = 420_000
"""Bytes over the wire of all scripts and styles; uncompressed they are 1.9 MB."""


@pytest.fixture(scope="module")
def check(
    browser: Browser,
    tmp_path_factory: pytest.TempPathFactory,
    hidden_environment: None,
    compressed_static: Path,
) -> Iterator[PageCheck]:
    """The whole application, with an account."""
    folder = tmp_path_factory.mktemp("docs")
    # The page asks for tokens where the application is said to be.
    settings = load_settings(
        Settings,
        _env_file=None,
        app_var_dir=folder,
        web_port=free_port(),
        web_static_dir=folder / "static",
        log_dir=folder / "log",
    )
    client = Client(settings)
    files = client.app.static_files.files()
    build(files, folder / "static", built_before=compressed_static)
    client.close()
    client = Client(settings)
    client.empty()
    client.account("ada")
    with serve(client.app, settings.web_port) as address:
        yield PageCheck(browser, address, ignored=("#swagger-ui",))
    client.close()


@pytest.fixture
def page(check: PageCheck) -> Iterator[Page]:
    """The page, with the operation that shows the account; nothing there breaks its policy."""
    with check.browser.new_page(base_url=check.address) as page:
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto("/docs#/users")
        page.locator("#operations-users-read_profile .opblock-summary-control").click()
        yield page
    assert [text for text in complaints if "Content Security Policy" in text] == []


def execute(page: Page) -> str:
    """Try the operation out, and return the name in the response."""
    with page.expect_response("**/api/v1/users/me") as answered:
        page.locator("#operations-users-read_profile button.execute").click()
    return str(answered.value.json().get("username"))


def authorize(page: Page, password: str) -> None:
    page.locator(".btn.authorize").first.click()
    dialog = page.locator(".modal-ux")
    dialog.locator("#oauth_username").fill("ada")
    dialog.locator("#oauth_password").fill(password)
    dialog.locator(".auth-btn-wrapper .authorize").click()


def test_the_page_is_sound_in_every_view(check: PageCheck):
    shown = "articles"
    check.everywhere(
        "/docs",
        prepare=lambda page: expect(page.locator(".opblock-tag", has_text=shown)).to_be_visible(),
    )


def test_the_error_numbers_are_sound_in_every_view(check: PageCheck):
    check.everywhere("/docs/errors")


def test_the_page_is_sent_compressed(check: PageCheck):
    with check.page("/docs") as page:
        expect(page.locator(".opblock-tag").first).to_be_visible()
        sent = check.report.bytes
        assert 200_000 < sent["Script"] + sent["Stylesheet"] < MAX_BYTES


def test_the_page_is_dark_where_the_frame_is(check: PageCheck):
    with check.page("/docs", View(scheme="dark")) as page:
        root = page.locator("html")
        expect(root).to_have_class(re.compile("dark-mode"))
        page.get_by_role("button", name="Light or dark").click()
        expect(root).not_to_have_class(re.compile("dark-mode"))


def test_a_tag_opens_by_a_link(check: PageCheck):
    with check.page("/docs#/tags") as page:
        expect(page.locator("#operations-tags-list_tags")).to_be_visible()


def test_every_operation_is_shown_when_its_tag_is_opened(check: PageCheck):
    with check.page("/docs") as page:
        tags = page.locator(".opblock-tag")
        expect(tags.first).to_be_visible()
        expect(page.locator(".opblock")).to_have_count(0)
        for tag in tags.all():
            tag.click()
        document = page.request.get("/openapi.json").json()
        count = sum(len(operations) for operations in document["paths"].values())
        expect(page.locator(".opblock")).to_have_count(count)


def test_the_authorize_button_signs_in_and_requests_carry_the_token(page: Page):
    authorize(page, PASSWORD)
    dialog = page.locator(".modal-ux")
    expect(dialog.get_by_text("Logout")).to_be_visible()
    dialog.get_by_text("Close").click()
    assert execute(page) == "ada"
    expect(page.locator(".curl-command").first).to_contain_text("curl -X 'GET'")


def test_a_wrong_password_is_shown_as_such(page: Page):
    authorize(page, "a wrong one")
    expect(page.locator(".modal-ux .errors")).to_contain_text("The credentials are wrong")


def test_who_is_signed_in_tries_out_in_the_own_name(page: Page):
    expect(page.locator("#sender")).to_be_empty()
    page.goto("/sign-in?next=/docs%23/users")
    page.get_by_label("Username").fill("ada")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("/docs#/users")
    expect(page.locator("#sender")).to_have_text("Try it out sends requests as ada.")
    page.locator("#operations-users-read_profile .opblock-summary-control").click()
    assert execute(page) == "ada"
