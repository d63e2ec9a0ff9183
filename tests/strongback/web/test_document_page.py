"""The page of the API in a real browser, on a real server, with static files that are built."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from app.core.config import Settings
from strongback.config import Environment, load_settings
from strongback.testing.port import free_port
from tests.support.page_check import PageCheck, View, in_views, serve
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
        app_env=Environment.TEST,
        app_var_dir=folder,
        web_port=free_port(),
        web_static_dir=compressed_static,
        log_dir=folder / "log",
    )
    client = Client(settings)
    client.empty()
    client.account("ada")
    with serve(client.app, settings.web_port) as address:
        yield PageCheck(browser, address, ignored=("#swagger-ui",))
    client.close()


@pytest.fixture
def page(check: PageCheck) -> Iterator[Page]:
    """A page; nothing there breaks its policy. Each time that /docs opens costs seconds."""
    with check.browser.new_page(base_url=check.address) as page:
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        yield page
    assert [text for text in complaints if "Content Security Policy" in text] == []


def execute(page: Page) -> str:
    """Try the operation out that shows the account, and return the name in the response."""
    operation = page.locator("#operations-users-read_profile")
    operation.locator(".opblock-summary-control").click()
    with page.expect_response("**/api/v1/users/me") as answered:
        operation.locator("button.execute").click()
    return str(answered.value.json().get("username"))


@in_views
def test_the_page_is_sound_and_sent_compressed(check: PageCheck, view: View):
    shown = "articles"
    check.examine(
        "/docs",
        view,
        prepare=lambda page: expect(page.locator(".opblock-tag", has_text=shown)).to_be_visible(),
    )
    sent = check.report.bytes
    assert 200_000 < sent["Script"] + sent["Stylesheet"] < MAX_BYTES


@in_views
def test_the_error_numbers_are_sound(check: PageCheck, view: View):
    check.examine("/docs/errors", view)


def test_a_link_opens_a_tag_and_the_page_is_dark_where_the_frame_is(check: PageCheck):
    with check.page("/docs#/tags", View(scheme="dark")) as page:
        expect(page.locator("#operations-tags-list_tags")).to_be_visible()
        root = page.locator("html")
        expect(root).to_have_class(re.compile("dark-mode"))
        page.get_by_role("button", name="Light or dark").click()
        expect(root).not_to_have_class(re.compile("dark-mode"))


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
    page.goto("/docs#/users")
    page.locator(".btn.authorize").first.click()
    dialog = page.locator(".modal-ux")
    dialog.locator("#oauth_username").fill("ada")
    for password in ("a wrong one", PASSWORD):
        dialog.locator("#oauth_password").fill(password)
        dialog.locator(".auth-btn-wrapper .authorize").click()
        if password != PASSWORD:
            expect(dialog.locator(".errors")).to_contain_text("The credentials are wrong")
    expect(dialog.get_by_text("Logout")).to_be_visible()
    dialog.get_by_text("Close").click()
    assert execute(page) == "ada"
    expect(page.locator(".curl-command").first).to_contain_text("curl -X 'GET'")
    expect(page.locator("#sender")).to_be_empty()


def test_who_is_signed_in_tries_out_in_the_own_name(page: Page):
    page.goto("/sign-in?next=/docs%23/users")
    page.get_by_label("Username").fill("ada")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("/docs#/users")
    expect(page.locator("#sender")).to_have_text("Try it out sends requests as ada.")
    assert execute(page) == "ada"
