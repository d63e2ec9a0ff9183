"""An article's page for those who are signed in, in a real browser on a real server."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect

from app.core.config import ROOT
from tests.live import serving
from tests.support.page_check import PageCheck, View, in_views
from tests.support.sdk import Person

ARTICLE = "/articles/guide-views"


@pytest.fixture(scope="module")
def check(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageCheck]:
    """The application as `make run` starts it, with one page more."""
    folder = tmp_path_factory.mktemp("live")
    variables = {"APP_ENV": "development"}
    with serving(folder, application="tests.support.browser_app:create_app", **variables) as server:
        command = [sys.executable, "-m", "flask", "--app", "app.main", "demo"]
        environment = os.environ | variables | {"APP_VAR_DIR": str(folder)}
        subprocess.run(command, env=environment, cwd=ROOT, check=True, capture_output=True)
        yield PageCheck(browser, server.url)


@pytest.fixture
def contexts(check: PageCheck) -> Iterator[list[BrowserContext]]:
    """Two browsers that know nothing of each other."""
    both = [check.browser.new_context(base_url=check.address) for _ in range(2)]
    yield both
    for context in both:
        context.close()


def open_as(context: BrowserContext, role: str) -> Page:
    """Sign in by one click, and open the article once it is live."""
    page = context.new_page()
    page.goto("/")
    page.get_by_role("button", name=role, exact=True).click()
    expect(page.locator("#account")).to_have_text(role)
    # What it fetches once it has subscribed: the frame that says so can come too early to wait for.
    with page.expect_response(re.compile(r"/comments\?")):
        page.goto(ARTICLE)
    return page


def test_two_windows_see_comments_and_likes_at_once(contexts: list[BrowserContext]):
    reader, writer = open_as(contexts[0], "user"), open_as(contexts[1], "author")
    likes = reader.locator('[data-count="likes"]')
    before = int(likes.inner_text())
    writer.get_by_role("button", name="I like it").click()
    expect(likes).to_have_text(str(before + 1))
    writer.reload()
    expect(writer.get_by_role("button", name="I like it")).to_have_attribute("aria-pressed", "true")
    writer.get_by_label("Your comment").fill("Read <b>twice</b>.")
    writer.get_by_role("button", name="Comment").click()
    for page in (writer, reader):
        said = page.locator("#comment-list li").last
        expect(said).to_contain_text("Read <b>twice</b>")
        expect(said.get_by_role("link").first).to_have_text("author")
    expect(reader.locator('[data-count="comments"]')).to_have_text("1")
    expect(writer.locator("#comment-list li")).to_have_count(1)
    expect(writer.get_by_label("Your comment")).to_have_value("")


def test_what_is_half_written_outlasts_the_page_and_not_the_session(
    contexts: list[BrowserContext],
):
    page = open_as(contexts[0], "user")
    page.get_by_label("Your comment").fill("Half of a")
    page.reload()
    expect(page.get_by_label("Your comment")).to_have_value("Half of a")
    other = contexts[0].new_page()
    other.goto("/sign-in")
    other.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Your comment")).not_to_be_visible()
    expect(page.get_by_role("button", name="I like it")).not_to_be_visible()
    # In the window that signed out: a browser's processes may see each other's writes later than
    # what is broadcast.
    assert other.evaluate("localStorage.length") == 0


def test_a_refused_comment_says_why(contexts: list[BrowserContext]):
    page = open_as(contexts[0], "user")
    page.get_by_label("Your comment").fill(" ")
    page.get_by_role("button", name="Comment").click()
    expect(page.locator("#comment-form [role=alert]")).not_to_be_empty()
    expect(page.get_by_label("Your comment")).to_be_focused()


def test_a_comment_whose_response_was_lost_is_written_once(contexts: list[BrowserContext]):
    page = open_as(contexts[0], "user")

    def lose(route: Route) -> None:
        route.fetch()
        route.abort()

    page.route("**/comments", lose, times=1)
    page.get_by_label("Your comment").fill("Said once.")
    page.get_by_role("button", name="Comment").click()
    expect(page.locator("#comment-form [role=alert]")).to_contain_text("does not respond")
    expect(page.get_by_label("Your comment")).to_have_value("Said once.")
    page.get_by_role("button", name="Comment").click()
    expect(page.get_by_label("Your comment")).to_have_value("")
    expect(page.get_by_text("Said once.")).to_have_count(1)
    page.reload()
    expect(page.get_by_text("Said once.")).to_have_count(1)


@in_views
def test_the_page_of_somebody_who_is_signed_in_is_sound(check: PageCheck, view: View):
    def prepare(page: Page) -> None:
        if page.locator("#account").inner_text() != "user":
            page.evaluate(
                "import('session').then((it) => it.signIn({client_id: 'strongback'}, '/demo/user'))"
            )
        expect(page.locator("#comment-body")).to_be_visible()

    check.examine(ARTICLE, view, name="article-signed-in", prepare=prepare)


def test_a_stranger_reads_the_same_page_and_opens_no_connection(check: PageCheck):
    with check.page(ARTICLE) as page:
        expect(page.locator("#comment-form > p")).to_be_visible()
        expect(page.get_by_label("Your comment")).not_to_be_visible()
    own = [url for url in check.report.requests if not url.endswith("/avatar")]
    assert [url for url in own if "/api/" in url or "centrifuge" in url] == []


def test_the_sdk_connects_under_the_strictest_policy(check: PageCheck):
    """The vendored file needs nothing that `connect-src 'self'` and Trusted Types forbid."""
    carol = Person(check.address, "carol")
    connection = carol.connection()
    with check.browser.new_page(base_url=check.address) as page:
        page.goto("/probe")
        page.evaluate(
            "([url, token]) => start(url, token)", [connection["url"], connection["token"]]
        )
        expect(page).to_have_title("connected")
        page.request.get(f"/probe/{carol.id}/7")
        expect(page).to_have_title("7")
        assert page.evaluate("violations") == []


def test_the_api_page_sends_requests_in_the_name_of_the_account(
    contexts: list[BrowserContext],
):
    page = contexts[0].new_page()
    page.goto("/")
    page.get_by_role("button", name="admin", exact=True).click()
    expect(page.locator("#account")).to_have_text("admin")
    page.goto("/docs")
    expect(page.locator("#sender")).to_contain_text("admin")
    page.locator("#operations-tag-users").click()
    operation = page.locator("[id$='read_profile']")
    operation.locator(".opblock-summary-control").click()
    with page.expect_response("**/api/v1/users/me") as response:
        operation.get_by_role("button", name="Execute").click()
    assert response.value.status == 200
    assert response.value.json()["username"] == "admin"
