"""Refresh tokens in a cookie, for browsers (RFC 10017, section 6.1), on the whole application."""

from __future__ import annotations

from http.cookies import SimpleCookie
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.core.permission import Role
from strongback.config import Environment
from strongback.web.guard import requirement_of
from tests.support.sign_in import PASSWORD, TOKEN, Client, client, sqlite_client

__all__ = ["client", "sqlite_client"]

REVOKE = "/api/v1/auth/revoke"
HEADER = {"X-Token-Transport": "cookie"}
HTTPS = "https://localhost"
SECURE, PLAIN = "__Host-Http-strongback", "strongback"
SIGN_IN = {"grant_type": "password", "username": "ada", "password": PASSWORD}
REFRESH = {"grant_type": "refresh_token"}
SIGN_OUT = {"client_id": "strongback"}


class Browser:
    """A browser on a page of the server: it keeps cookies, and sends the header."""

    def __init__(self, client: Client, base: str = HTTPS) -> None:
        self.base = base
        self.client: FlaskClient = client.app.test_client()

    def post(self, form: dict[str, Any], path: str = TOKEN, **headers: str) -> TestResponse:
        """Send a form."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.post(path, data=form, headers=HEADER | named, base_url=self.base)

    @property
    def cookie(self) -> str | None:
        """The value of the cookie, if there is one."""
        found = self.client.get_cookie(SECURE if self.base == HTTPS else PLAIN)
        return found.value if found else None


@pytest.fixture
def ada(sqlite_client: Client) -> Client:
    sqlite_client.account("ada", Role.AUTHOR)
    return sqlite_client


@pytest.fixture
def browser(ada: Client) -> Browser:
    return Browser(ada)


def attributes(response: TestResponse) -> tuple[str, dict[str, str]]:
    """Name and set attributes of the one cookie of a response."""
    ((name, morsel),) = SimpleCookie(response.headers["Set-Cookie"]).items()
    return name, {key: value for key, value in morsel.items() if value}


class TestCookie:
    def test_the_refresh_token_is_in_the_cookie_alone(self, browser: Browser):
        response = browser.post(SIGN_IN)
        members = {"access_token", "token_type", "expires_in", "scope", "username"}
        assert members == response.get_json().keys()
        assert response.get_json()["username"] == "ada"
        assert response.headers["Cache-Control"] == "no-store"
        assert browser.cookie
        assert browser.cookie not in response.text

    def test_over_https_it_has_every_guard_that_browsers_know(self, browser: Browser):
        name, found = attributes(browser.post(SIGN_IN))
        assert name == SECURE
        assert found == {"path": "/", "secure": True, "httponly": True, "samesite": "Strict"}

    def test_it_outlasts_the_browser_if_asked_to_and_a_refresh_keeps_that(self, browser: Browser):
        for form in (SIGN_IN | {"remember": "true"}, REFRESH):
            _, found = attributes(browser.post(form))
            assert found["max-age"] == str(30 * 24 * 3600)

    def test_a_refresh_of_one_that_ends_with_the_browser_keeps_that(self, browser: Browser):
        browser.post(SIGN_IN)
        assert "max-age" not in attributes(browser.post(REFRESH))[1]

    def test_over_plain_http_it_has_a_plain_name(self, ada: Client):
        name, found = attributes(Browser(ada, "http://localhost").post(SIGN_IN))
        assert name == PLAIN
        assert found == {"path": "/", "httponly": True, "samesite": "Strict"}

    def test_production_refuses_plain_http_and_names_the_remedy(self, settings: Any):
        changes = {"app_env": Environment.PRODUCTION, "app_url": HTTPS}
        client = Client(settings.model_copy(update=changes))
        client.empty()
        response = Browser(client, "http://localhost").post(SIGN_IN)
        assert (response.status_code, response.get_json()["error"]) == (400, "invalid_request")
        assert "WEB_PROXIES" in response.get_json()["message"]
        client.close()


class TestRefresh:
    def test_the_token_of_the_cookie_is_exchanged(self, ada: Client, browser: Browser):
        browser.post(SIGN_IN)
        first = browser.cookie
        response = browser.post(REFRESH)
        assert browser.cookie != first
        assert ada.status(response.get_json()["access_token"]) == 200

    def test_without_a_cookie_the_parameter_is_missing(self, browser: Browser):
        response = browser.post(REFRESH)
        assert (response.status_code, response.get_json()["error"]) == (400, "invalid_request")

    def test_a_failed_one_changes_no_cookie(self, ada: Client, browser: Browser):
        browser.post(SIGN_IN)
        ada.sessions.revoke_all(1)
        response = browser.post(REFRESH)
        assert (response.status_code, response.get_json()["error"]) == (400, "invalid_grant")
        assert "Set-Cookie" not in response.headers


class TestSignOut:
    def test_it_ends_the_session_and_deletes_the_cookie(self, ada: Client, browser: Browser):
        token = browser.post(SIGN_IN).get_json()["access_token"]
        response = browser.post(SIGN_OUT, REVOKE)
        assert (response.status_code, response.get_json()) == (200, {})
        assert not browser.cookie
        assert ada.status(token) == 401

    def test_without_a_session_it_succeeds_too(self, browser: Browser):
        assert browser.post(SIGN_OUT, REVOKE).status_code == 200

    def test_without_the_header_the_token_is_asked_for(self, ada: Client, browser: Browser):
        token = browser.post(SIGN_IN).get_json()["access_token"]
        response = browser.client.post(REVOKE, data=SIGN_OUT, base_url=HTTPS)
        assert (response.status_code, response.get_json()["error"]) == (400, "invalid_request")
        assert ada.status(token) == 200

    def test_signing_in_anew_ends_the_session_whose_cookie_is_replaced(
        self, ada: Client, browser: Browser
    ):
        token = browser.post(SIGN_IN).get_json()["access_token"]
        assert browser.post(SIGN_IN | {"password": "wrong"}).status_code == 400
        assert ada.status(token) == 200
        browser.post(SIGN_IN)
        assert ada.status(token) == 401


class TestOthers:
    @pytest.mark.parametrize(
        "headers",
        [
            {"Origin": "https://evil.example.org"},
            {"Origin": "https://evil.localhost"},
            {"Origin": "http://localhost"},
            {"Origin": "null"},
            {"Sec_Fetch_Site": "cross-site"},
            {"Sec_Fetch_Site": "same-site"},
            {"Sec_Fetch_Site": "none"},
            {"Origin": HTTPS, "Sec_Fetch_Site": "cross-site"},
        ],
        ids=str,
    )
    @pytest.mark.parametrize("path", [TOKEN, REVOKE])
    def test_pages_of_other_origins_are_refused(
        self, ada: Client, browser: Browser, headers: dict[str, str], path: str
    ):
        token = browser.post(SIGN_IN).get_json()["access_token"]
        for form in (SIGN_IN, REFRESH):
            response = browser.post(form, path, **headers)
            assert (response.status_code, response.get_json()["error"]) == (400, "invalid_request")
            assert "Set-Cookie" not in response.headers
        assert ada.status(token) == 200

    def test_own_pages_are_those_of_the_host_and_of_the_address(
        self, ada: Client, browser: Browser
    ):
        for origin in (HTTPS, ada.settings.address):
            response = browser.post(SIGN_IN, Origin=origin, Sec_Fetch_Site="same-origin")
            assert response.status_code == 200

    def test_an_international_name_is_an_own_one(self, ada: Client):
        name = "https://xn--bcher-kva.example.org"
        assert Browser(ada, name).post(SIGN_IN, Origin=name).status_code == 200

    @pytest.mark.parametrize("value", ["x" * 8000, "a.b.c", ".remember", "é", '"', "a%00b"])
    def test_a_cookie_that_is_none_of_ours_is_refused(self, ada: Client, value: str):
        headers = HEADER | {"Cookie": f"{PLAIN}={value}"}
        response = ada.open(TOKEN, "POST", data=REFRESH, headers=headers)
        assert response.status_code == 400
        assert response.get_json()["error"] in {"invalid_grant", "invalid_request"}
        assert ada.open(REVOKE, "POST", data=SIGN_OUT, headers=headers).status_code == 200

    def test_without_the_header_no_cookie_is_set_or_read(self, browser: Browser):
        response = browser.client.post(TOKEN, data=SIGN_IN, base_url=HTTPS)
        assert "Set-Cookie" not in response.headers
        assert "username" not in response.get_json()
        browser.post(SIGN_IN)
        response = browser.client.post(TOKEN, data=REFRESH, base_url=HTTPS)
        assert (response.status_code, response.get_json()["error"]) == (400, "invalid_request")

    def test_another_transport_is_refused(self, ada: Client):
        response = ada.open(TOKEN, "POST", data=SIGN_IN, headers={"X-Token-Transport": "body"})
        assert (response.status_code, response.get_json()["error"]) == (400, "invalid_request")

    def test_no_preflight_allows_the_header(self, settings: Any):
        client = Client(settings.model_copy(update={"web_cors_origins": ("*",)}))
        headers = {
            "Origin": "https://shop.example.org",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "x-token-transport",
        }
        response = client.open(TOKEN, "OPTIONS", headers=headers)
        assert "Content-Type" in response.headers["Access-Control-Allow-Headers"]
        assert "X-Token-Transport" not in response.headers["Access-Control-Allow-Headers"]
        assert "Access-Control-Allow-Credentials" not in response.headers
        client.close()

    def test_the_cookie_alone_opens_no_route(self, ada: Client, browser: Browser):
        browser.post(SIGN_IN)
        adapter = ada.app.url_map.bind("localhost")
        guarded = 0
        for rule in ada.app.url_map.iter_rules():
            view = ada.app.view_functions[rule.endpoint]
            if not hasattr(view, "__requirement__") or requirement_of(view).is_public:
                continue
            guarded += 1
            path = adapter.build(rule.endpoint, dict.fromkeys(rule.arguments, 1))
            for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
                response = browser.client.open(path, method=method, headers=HEADER, base_url=HTTPS)
                assert response.status_code == 401, rule
        assert guarded > 20
