"""Sessions in a real browser: signing in and out, several tabs, and a page that is left."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from flask import request
from playwright.sync_api import Browser, BrowserContext, Page, expect
from sqlalchemy import update

from app.core.config import Settings
from app.demo import ensure_accounts
from app.user.model import User
from app.user.service import UserService
from strongback.config import Environment, load_settings
from strongback.log.setup import configure_logging
from tests.support.page_check import PageCheck, View, in_views, serve
from tests.support.sign_in import PASSWORD, TOKEN, Client
from tests.support.sms import PHONE, another
from tests.support.work import work
from tests.support.worker import wait_until

COOKIE = "strongback"
CALL = "import('session').then((it) => it.request('/api/v1/users/me')).then((it) => it.status)"
WAKE = f"""(at) => {{ window.woken = new Promise((done) => setTimeout(done, at - Date.now()))
  .then(() => {CALL}); }}"""
TOKEN_OF = "import('session').then((it) => it.accessToken())"
NAME = "import('session').then((it) => it.username())"


class Site:
    """The application on a port of its own, where a refresh token that is used twice is theft."""

    def __init__(self, client: Client, browser: Browser, address: str) -> None:
        self.client = client
        self.browser = browser
        self.address = address
        self.check = PageCheck(browser, address)
        self._number = 0

    def account(self, **values: object) -> str:
        """Make an account of which no other test knows; returns its name."""
        self._number += 1
        username = self.client.account(f"ada{self._number}").username
        if values:
            query = update(User).where(User.username == username).values(values)
            self.client.database.transact(lambda session: session.execute(query))
        return username

    @contextmanager
    def signed_in(self) -> Iterator[tuple[BrowserContext, Page]]:
        """A browser in which somebody has signed in."""
        with self.browser.new_context(base_url=self.address) as context:
            page = context.new_page()
            sign_in(page, self.account())
            yield context, page

    def events(self, name: str) -> int:
        """How often something has been logged."""
        return sum(entry["event"] == name for entry in self.log("error"))

    def statuses(self) -> list[int]:
        """Statuses of all responses that have been sent."""
        return [entry["status"] for entry in self.log("access")]

    def log(self, name: str) -> list[dict[str, Any]]:
        """What has been logged."""
        path = self.client.settings.app_var_dir / "log" / f"{name}.log"
        return [json.loads(line) for line in path.read_text().splitlines()]

    def reuses(self) -> int:
        """How often a refresh token came twice."""
        return self.events("refresh_token_reused") + self.events("refresh_token_repeated")


def sign_in(page: Page, username: str, *, password: str = PASSWORD) -> None:
    """Sign in, and come back to the page that says so."""
    page.goto("/sign-in?next=/sign-in")
    page.get_by_label("Username").fill(username)
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_role("button", name="Sign in").click()
    if password == PASSWORD:
        # The page that is left says so too, just before it goes on; the new one has no query.
        page.wait_for_url("/sign-in")
        expect(page.locator("#signed-in")).to_be_visible()


gate = threading.Event()
gate.set()


@pytest.fixture(scope="module")
def site(
    browser: Browser, tmp_path_factory: pytest.TempPathFactory, hidden_environment: None
) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    settings = load_settings(
        Settings,
        _env_file=None,
        app_env=Environment.DEVELOPMENT,
        app_var_dir=folder,
        auth_refresh_grace=0,
        log_dir=folder / "log",
    )
    client = Client(settings)
    configure_logging(client.settings)
    client.empty()
    ensure_accounts(client.app.services[UserService], folder / "demo.json")

    @client.app.before_request
    def wait() -> None:
        if request.path == TOKEN:
            gate.wait(30)

    with serve(client.app) as address:
        yield Site(client, browser, address)
    client.close()


class TestSignIn:
    @in_views
    def test_the_page_is_sound(self, site: Site, view: View):
        site.check.examine("/sign-in", view)

    def test_a_wrong_password_is_said_where_the_focus_goes(self, site: Site):
        with site.browser.new_page(base_url=site.address) as page:
            sign_in(page, site.account(), password="wrong")
            problem = page.get_by_role("alert")
            expect(problem).to_contain_text("wrong")
            expect(problem).to_be_focused()
            expect(page.get_by_label("Password", exact=True)).to_have_value("wrong")

    def test_the_bar_of_every_page_says_who_is_signed_in(self, site: Site):
        with site.signed_in() as (_, page):
            name = page.evaluate(NAME)
            expect(page.locator("#account")).to_have_text(name)
            expect(page.locator("#signed-in strong")).to_have_text(name)
            assert page.evaluate(CALL) == 200

    def test_a_reload_keeps_the_session_and_no_script_sees_the_cookie(self, site: Site):
        with site.signed_in() as (context, page):
            page.reload()
            assert page.evaluate(CALL) == 200
            (cookie,) = context.cookies()
            assert (cookie["name"], cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (
                COOKIE,
                True,
                "Strict",
                "/",
            )
            assert cookie["expires"] == -1
            assert COOKIE not in page.evaluate("document.cookie")
            kept = page.evaluate("JSON.stringify({...localStorage, ...sessionStorage})")
            assert cookie["value"] not in kept
            assert "eyJ" not in kept

    def test_keep_me_signed_in_keeps_the_cookie_for_thirty_days(self, site: Site):
        with site.browser.new_context(base_url=site.address) as context:
            page = context.new_page()
            page.goto("/sign-in")
            page.locator("#forms > form").get_by_label("Keep me signed in").check()
            page.get_by_label("Username").fill(site.account())
            page.get_by_label("Password", exact=True).fill(PASSWORD)
            page.get_by_label("Password", exact=True).press("Enter")
            page.wait_for_url(f"{site.address}/")
            (cookie,) = context.cookies()
            assert cookie["expires"] > page.evaluate("Date.now()") / 1000 + 29 * 24 * 3600

    def test_it_goes_on_to_addresses_of_this_server_alone(self, site: Site):
        with site.signed_in() as (_, page):
            for next_, expected in {
                "/docs%23section": "/docs#section",
                "docs?a=1%26b=2": "/docs?a=1&b=2",
                "https://evil.example.org/": "",
                "//evil.example.org/": "",
                f"blob:{site.address}/x": "",
                "/%5Cevil.example.org": "",
                "%5C%5Cevil.example.org": "",
                "%09//evil.example.org": "",
                "javascript:alert(1)": "",
                "data:text/html,x": "",
                f"{site.address}//evil.example.org": "//evil.example.org",
                "http://%5B": "",
            }.items():
                page.goto(f"/sign-in?next={next_}")
                link = page.get_by_role("link", name="Continue")
                expect(link).to_be_visible()
                found = page.evaluate("document.querySelector('#signed-in a').href")
                assert found == f"{site.address}{expected or '/'}", next_

    def test_a_server_that_does_not_respond_is_said_too(self, site: Site):
        with site.browser.new_page(base_url=site.address) as page:
            page.route(f"**{TOKEN}", lambda route: route.abort())
            sign_in(page, "ada", password="any")
            expect(page.get_by_role("alert")).to_contain_text("does not respond")

    def test_without_javascript_it_says_so_and_sends_no_password(self, site: Site):
        with site.check.page("/sign-in", javascript=False) as page:
            expect(page.get_by_text("Signing in needs JavaScript")).to_be_visible()
            expect(page.get_by_role("button", name="Sign in")).to_be_disabled()

    def test_a_code_by_text_message_signs_in(self, site: Site, capsys: pytest.CaptureFixture[str]):
        name = site.account(proven_phone=PHONE)
        with site.browser.new_page(base_url=site.address) as page:
            page.goto("/sign-in")
            page.get_by_text("Sign in by text message").click()
            page.get_by_label("Telephone number").fill(PHONE)
            page.get_by_role("button", name="Send a code").click()
            field = page.get_by_label("Code from the message")
            expect(field).to_be_focused()
            work(site.client.app)
            [code] = re.findall(r"^SMS to .*: (\d{6})$", capsys.readouterr().out, re.MULTILINE)
            field.fill(another(code))
            field.press("Enter")
            expect(page.get_by_role("alert")).to_contain_text("wrong")
            expect(page.get_by_role("alert")).to_be_focused()
            field.fill(code)
            field.press("Enter")
            page.wait_for_url(f"{site.address}/")
            expect(page.locator("#account")).to_have_text(name)

    def test_in_chinese(self, site: Site):
        with site.browser.new_page(base_url=site.address, locale="zh") as page:
            page.goto("/sign-in")
            expect(page.get_by_role("heading", level=1)).to_have_text("登录")
            page.get_by_label("用户名").fill("nobody")
            page.get_by_label("密码", exact=True).fill("wrong")
            page.get_by_role("button", name="登录").click()
            expect(page.get_by_role("alert")).to_contain_text("错误")


class TestDemo:
    def test_one_click_signs_in_and_the_next_one_as_somebody_else(self, site: Site):
        with site.check.page("/sign-in") as page:
            for role in ("author", "admin"):
                page.get_by_role("button", name=role, exact=True).click()
                expect(page.locator("#account")).to_have_text(role)
                assert page.evaluate(CALL) == 200


class TestTabs:
    def test_five_that_wake_up_together_stay_signed_in(self, site: Site):
        with site.signed_in() as (context, first):
            tabs = [first, *(context.new_page() for _ in range(4))]
            for page in tabs:
                page.goto("/sign-in")
                expect(page.locator("#signed-in")).to_be_visible()
            reuses, at = site.reuses(), first.evaluate("Date.now() + 500")
            for page in tabs:
                page.evaluate(WAKE, at)
            assert [page.evaluate("window.woken") for page in tabs] == [200] * 5
            assert site.reuses() == reuses

    def test_an_expired_token_is_replaced_before_it_is_sent(self, site: Site):
        with site.signed_in() as (context, page):
            assert page.evaluate(CALL) == 200
            sent: list[str] = []
            context.on("request", lambda each: sent.append(each.url))
            page.evaluate("() => { const now = Date.now; Date.now = () => now() + 14.5 * 60_000; }")
            assert page.evaluate(CALL) == 200
            assert [url.removeprefix(site.address) for url in sent] == [TOKEN, "/api/v1/users/me"]

    def test_a_page_that_is_left_during_a_refresh_keeps_the_session(self, site: Site):
        with site.signed_in() as (context, page):
            page.goto("/sign-in")
            reuses = site.reuses()
            gate.clear()
            with context.expect_event("request", lambda each: each.url.endswith(TOKEN)):
                page.evaluate(f"() => void {TOKEN_OF}")
            page.goto("/docs/errors", wait_until="commit")
            gate.set()
            page.goto("/sign-in")
            assert page.evaluate(CALL) == 200
            assert site.reuses() == reuses

    def test_signing_in_and_out_in_one_is_seen_in_the_others(self, site: Site):
        with site.browser.new_context(base_url=site.address) as context:
            other, page = context.new_page(), context.new_page()
            other.goto("/sign-in")
            name = site.account()
            sign_in(page, name)
            expect(other.locator("#account")).to_have_text(name)
            assert other.evaluate(CALL) == 200
            page.evaluate("localStorage.setItem('strongback.own.draft', 'text')")
            page.get_by_role("button", name="Sign out").click()
            for tab in (page, other):
                expect(tab.locator("#account")).to_have_text("Sign in")
                expect(tab.get_by_label("Username")).to_be_visible()
                assert tab.evaluate(CALL) == 401
            assert context.cookies() == []
            assert page.evaluate("localStorage.length") == 0

    def test_a_session_that_was_ended_elsewhere_ends_with_the_next_call(self, site: Site):
        with site.signed_in() as (_, page):
            assert page.evaluate(CALL) == 200
            token = page.evaluate(TOKEN_OF)
            me = site.client.call("GET", "/users/me", token).json["id"]
            with site.client.database.scope():
                site.client.sessions.revoke_all(me)
            assert page.evaluate(CALL) == 401
            expect(page.locator("#account")).to_have_text("Sign in")


class TestOthers:
    def test_a_page_of_another_origin_can_neither_sign_in_nor_use_the_session(self, site: Site):
        foreign = site.address.replace("127.0.0.1", "localhost")
        with site.browser.new_context(bypass_csp=True) as context:
            page = context.new_page()
            page.goto(f"{foreign}/sign-in")
            for headers in ("headers: {'X-Token-Transport': 'cookie'},", ""):
                answer = page.evaluate(
                    f"""(address) => fetch(address, {{method: 'POST', credentials: 'include',
                    {headers} body: new URLSearchParams({{grant_type: 'refresh_token'}})}})
                    .then((response) => response.status, () => 'refused')""",
                    site.address + TOKEN,
                )
                assert answer == "refused"
            # Of the preflight, and of what needs none; logged once the response is sent.
            wait_until(lambda: site.statuses()[-2:] == [200, 400], "the second request")
            assert context.cookies() == []

    def test_the_token_goes_to_this_server_alone(self, site: Site):
        with site.signed_in() as (_, page):
            script = """() => import('session').then((it) => it.request('https://example.org/'))
              .catch((error) => error.name)"""
            assert page.evaluate(script) == "TypeError"


def test_a_stranger_asks_for_no_token(site: Site):
    with site.check.page("/sign-in", View()) as page:
        expect(page.get_by_label("Username")).to_be_visible()
        assert page.evaluate(TOKEN_OF) is None
    assert not [url for url in site.check.report.requests if url.endswith(TOKEN)]
