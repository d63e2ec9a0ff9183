"""The documentation page in a real browser, on a real server."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect
from werkzeug.serving import make_server

from strongback.config import Settings
from strongback.testing.port import free_port
from tests.support.sign_in import PASSWORD, Client, sqlite_client

__all__ = ["sqlite_client"]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """The page asks for tokens where the application is said to be."""
    return settings.model_copy(update={"web_port": free_port()})


@pytest.fixture
def address(sqlite_client: Client, settings: Settings) -> Iterator[str]:
    """Where the application answers."""
    server = make_server("127.0.0.1", settings.web_port, sqlite_client.app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    """A tab that fails the test if its page breaks its own content policy."""
    with browser.new_page(base_url=address) as page:
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        yield page
    assert [text for text in complaints if "Content Security Policy" in text] == []


def test_the_authorize_button_signs_in_and_requests_carry_the_token(
    sqlite_client: Client, page: Page
):
    sqlite_client.account("ada")
    page.goto("/docs")
    page.locator(".btn.authorize").first.click()
    dialog = page.locator(".modal-ux")
    dialog.locator("#oauth_username").fill("ada")
    dialog.locator("#oauth_password").fill(PASSWORD)
    dialog.locator(".auth-btn-wrapper .authorize").click()
    expect(dialog.get_by_text("Logout")).to_be_visible()
    dialog.get_by_text("Close").click()

    operation = page.locator("#operations-users-read_profile")
    operation.locator(".opblock-summary-control").click()
    with page.expect_response("**/api/v1/users/me") as answered:
        operation.locator("button.execute").click()
    assert answered.value.status == 200
    assert answered.value.request.headers["authorization"].startswith("Bearer ey")
    assert answered.value.json()["username"] == "ada"


def test_a_wrong_password_is_shown_as_such(sqlite_client: Client, page: Page):
    sqlite_client.account("ada")
    page.goto("/docs")
    page.locator(".btn.authorize").first.click()
    dialog = page.locator(".modal-ux")
    dialog.locator("#oauth_username").fill("ada")
    dialog.locator("#oauth_password").fill("a wrong one")
    dialog.locator(".auth-btn-wrapper .authorize").click()
    expect(dialog.locator(".errors")).to_contain_text("The credentials are wrong")
