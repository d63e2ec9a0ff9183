"""The pages of mail in a real browser: without scripts, on a telephone, light and dark."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect
from werkzeug.serving import make_server

from strongback.mail import Subscription, Unsubscriptions
from strongback.testing.port import free_port
from tests.support.mail_client import MailClient, sqlite_mail

__all__ = ["sqlite_mail"]

PHONE: ViewportSize = {"width": 320, "height": 640}
NEW = "a good new password"


@pytest.fixture
def address(sqlite_mail: MailClient) -> Iterator[str]:
    """Where the application answers."""
    server = make_server("127.0.0.1", free_port(), sqlite_mail.app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(params=["en-light", "zh-dark"])
def page(request: pytest.FixtureRequest, browser: Browser, address: str) -> Iterator[Page]:
    """A narrow tab without scripts; it fails the test if its page breaks its own policy."""
    locale, _, scheme = request.param.partition("-")
    complaints: list[str] = []
    with browser.new_page(
        base_url=address,
        locale=locale,
        color_scheme=scheme,
        viewport=PHONE,
        java_script_enabled=False,
    ) as page:
        page.on("console", lambda message: complaints.append(message.text))
        yield page
    assert [text for text in complaints if "Content Security Policy" in text] == []


def look(page: Page, name: str) -> None:
    """Hold the page to what people need, and keep a picture where a folder is named."""
    if folder := os.environ.get("SCREENSHOTS"):
        kind = page.locator("html").get_attribute("lang")
        page.screenshot(path=Path(folder) / f"{name}-{kind}.png", full_page=True)
    expect(page.locator("h1")).to_be_visible()
    box = page.locator("main").bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["width"] <= PHONE["width"]


def test_everything_that_links_lead_to(sqlite_mail: MailClient, page: Page):
    sqlite_mail.resident()
    sqlite_mail.forget()
    page.goto(sqlite_mail.server.link())
    look(page, "password")
    field = page.get_by_label("New password").or_(page.get_by_label("新密码"))
    field.fill("password")
    page.locator("main").get_by_role("button").click()
    expect(page.get_by_role("alert")).to_be_visible()
    look(page, "password-refused")
    field.fill(NEW)
    page.locator("main").get_by_role("button").click()
    expect(page.locator("main").get_by_role("button")).to_have_count(0)
    look(page, "password-done")
    assert sqlite_mail.sign_in("ada", NEW)
    page.goto("/account/password?token=wrong")
    look(page, "error")
    page.locator("main").get_by_role("link").click()
    look(page, "forgotten")
    page.locator("main").get_by_role("textbox").fill("nobody")
    page.locator("main").get_by_role("button").click()
    expect(page.locator("main").get_by_role("button")).to_have_count(0)
    look(page, "forgotten-done")

    sqlite_mail.change("ada", proven_email=None)
    token = sqlite_mail.sign_in("ada", NEW)["access_token"]
    sqlite_mail.call("POST", "/users/me/email/verification", token)
    sqlite_mail.work()
    page.goto(sqlite_mail.server.link())
    look(page, "email")
    page.locator("main").get_by_role("button").click()
    expect(page.locator("main").get_by_role("button")).to_have_count(0)
    look(page, "email-done")
    assert sqlite_mail.call("GET", "/users/me", token).json["email_proven"] is True

    unsubscriptions = sqlite_mail.app.services[Unsubscriptions]
    link = unsubscriptions.link(unsubscriptions.token(Subscription(1, "comment")))
    page.goto(link.removeprefix("https://shop.example.org"))
    look(page, "unsubscribe")
    page.locator("main").get_by_role("button").click()
    look(page, "unsubscribe-done")
