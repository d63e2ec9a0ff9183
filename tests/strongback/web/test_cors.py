from __future__ import annotations

import re
from typing import Any

import pytest
from flask.testing import FlaskClient

from app.core.config import ROOT, Settings, load_settings
from strongback.config import Environment
from strongback.exceptions import ConfigurationError
from strongback.web import APIBlueprint, init_cors, public
from strongback.web.cors import ALLOWED_HEADERS, EXPOSED_HEADERS
from strongback.web.http_app import HTTPApp

ORIGIN = "https://app.example.org"
FOREIGN = "https://evil.example.org"


def build(settings: Settings, *origins: str) -> FlaskClient:
    app = HTTPApp("probe", settings, title="probe", version="1")
    api = APIBlueprint("probe", __name__, url_prefix="/probe")

    @api.get("/thing")
    @public
    def read_thing() -> dict[str, int]:
        return {}

    @api.patch("/thing")
    @public
    def change_thing() -> dict[str, int]:
        return {}

    app.register_api(api)
    init_cors(app, origins)
    return app.test_client()


@pytest.fixture
def client(settings: Settings) -> FlaskClient:
    return build(settings, ORIGIN, "http://localhost:5173")


def names(answer: Any) -> set[str]:
    return {name for name in dict(answer.headers) if name.startswith("Access-Control-")}


def varies(answer: Any) -> set[str]:
    return {part.strip() for line in answer.headers.getlist("Vary") for part in line.split(",")}


def preflight(client: FlaskClient, origin: str, path: str = "/probe/thing") -> Any:
    headers = {"Origin": origin, "Access-Control-Request-Method": "PATCH"}
    return client.options(path, headers=headers)


class TestAllowedOrigin:
    def test_may_read_answers_and_their_headers(self, client: FlaskClient) -> None:
        answer = client.get("/probe/thing", headers={"Origin": ORIGIN})

        assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
        assert "RateLimit-Policy" in answer.headers["Access-Control-Expose-Headers"]
        assert answer.headers.getlist("Cross-Origin-Resource-Policy") == ["cross-origin"]
        assert "Access-Control-Allow-Credentials" not in answer.headers

    def test_may_read_errors(self, client: FlaskClient) -> None:
        answer = client.get("/nowhere", headers={"Origin": ORIGIN})

        assert (
            answer.status_code,
            answer.headers["Access-Control-Allow-Origin"],
        ) == (404, ORIGIN)
        assert varies(answer) >= {"Accept", "Accept-Language", "Origin"}
        assert len(answer.headers.getlist("Vary")) == 1

    def test_may_read_not_modified(self, client: FlaskClient) -> None:
        tag = client.get("/probe/thing").headers["ETag"]

        answer = client.get("/probe/thing", headers={"Origin": ORIGIN, "If-None-Match": tag})

        assert (
            answer.status_code,
            answer.headers["Access-Control-Allow-Origin"],
        ) == (304, ORIGIN)

    def test_learns_by_preflight_what_the_route_takes(self, client: FlaskClient) -> None:
        answer = preflight(client, ORIGIN)

        assert (answer.status_code, answer.data) == (204, b"")
        assert "Content-Type" not in answer.headers
        methods = set(answer.headers["Access-Control-Allow-Methods"].split(", "))
        assert {"GET", "HEAD", "OPTIONS", "PATCH"} == methods
        assert "Authorization" in answer.headers["Access-Control-Allow-Headers"]
        assert "Idempotency-Key" in answer.headers["Access-Control-Allow-Headers"]
        assert answer.headers["Access-Control-Max-Age"] == "7200"
        assert "X-Request-ID" in answer.headers

    def test_preflight_of_nothing_is_404(self, client: FlaskClient) -> None:
        assert preflight(client, ORIGIN, "/nowhere").status_code == 404


READABLE = {"Cache-Control", "Content-Language", "Content-Length", "Content-Type", "Last-Modified"}
"""Headers that any page may read (Fetch, 4.5)."""
NOT_FOR_SCRIPTS = {
    "Sec-Fetch-Site",  # browsers set it themselves
    "Content-Encoding",
    "Content-Security-Policy",
    "Cross-Origin-Resource-Policy",
    "Referrer-Policy",
    "Strict-Transport-Security",
    "X-Content-Type-Options",
    "X-Frame-Options",
}
OF_MAIL = {"List-Unsubscribe", "List-Unsubscribe-Post", "Message-ID"}
"""What browsers and servers act on by themselves."""
OF_REQUESTS = {
    "Accept",
    "Accept-Language",
    "Authorization",
    "Content-Type",
    "Idempotency-Key",
    "If-Match",
    "If-Modified-Since",
    "If-None-Match",
    "If-Unmodified-Since",
    "X-Request-ID",
}
SIMPLE = {"Accept", "Accept-Language"}
HEADER = re.compile(r"`([A-Z][A-Za-z]*(?:-[A-Z][A-Za-z]*)+|ETag|Allow|Link|Location|RateLimit)`")


class TestHeaders:
    def test_that_the_guide_names_for_clients_are_exposed(self) -> None:
        pages = (ROOT / "docs/guide").glob("*.md")
        named = {name for page in pages for name in HEADER.findall(page.read_text())}
        exposed = set(EXPOSED_HEADERS.split(", "))
        theirs = named - READABLE - NOT_FOR_SCRIPTS - OF_MAIL - (OF_REQUESTS - exposed)
        assert {"Idempotency-Replayed", "Retry-After"} <= theirs
        assert {name for name in theirs if not is_of_proxies(name)} <= exposed

    @pytest.mark.parametrize("name", ["Content-Location", "WWW-Authenticate", "Allow"])
    def test_that_the_application_sends_are_exposed(self, name: str) -> None:
        assert name in EXPOSED_HEADERS.split(", ")

    def test_that_the_application_reads_are_allowed(self) -> None:
        assert set(ALLOWED_HEADERS.split(", ")) == OF_REQUESTS - SIMPLE


def is_of_proxies(name: str) -> bool:
    return name.startswith("X-Forwarded-") or name in {"User-Agent", "Transfer-Encoding"}


class TestOtherOrigin:
    @pytest.mark.parametrize(
        "origin",
        [
            FOREIGN,
            "null",
            "http://app.example.org",
            "https://app.example.org:444",
            "https://app.example.org.evil.example",
            "https://evil-app.example.org",
            "HTTPS://APP.EXAMPLE.ORG",
            "",
        ],
    )
    def test_gets_no_header(self, client: FlaskClient, origin: str) -> None:
        answer = client.get("/probe/thing", headers={"Origin": origin})

        assert set() == names(answer)
        assert "Origin" in varies(answer)
        assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"

    def test_gets_no_header_by_preflight(self, client: FlaskClient) -> None:
        answer = preflight(client, FOREIGN)

        assert set() == names(answer)
        assert "PATCH" in answer.headers["Allow"]


def test_answers_without_an_origin_vary_too(client: FlaskClient) -> None:
    answer = client.get("/probe/thing")

    assert "Origin" in varies(answer)
    assert names(answer) == set()


def test_options_without_a_preflight_keeps_allow(client: FlaskClient) -> None:
    answer = client.options("/probe/thing", headers={"Origin": ORIGIN})

    assert {"GET", "HEAD", "OPTIONS", "PATCH"} == set(answer.headers["Allow"].split(", "))
    assert "Access-Control-Allow-Methods" not in answer.headers


def test_an_empty_list_installs_nothing(settings: Settings) -> None:
    client = build(settings)

    answer = preflight(client, ORIGIN)

    assert set() == names(answer)
    assert "PATCH" in answer.headers["Allow"]
    assert "Origin" not in varies(client.get("/probe/thing", headers={"Origin": ORIGIN}))


def test_all_origins_where_that_was_asked_for(settings: Settings) -> None:
    answer = build(settings, "*").get("/probe/thing", headers={"Origin": FOREIGN})

    assert answer.headers["Access-Control-Allow-Origin"] == "*"


class TestSetting:
    def test_is_separated_by_commas(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("WEB_CORS_ORIGINS", f"{ORIGIN}, http://localhost:5173,")

        origins = load_settings(_env_file=None).web_cors_origins

        assert origins == (ORIGIN, "http://localhost:5173")

    @pytest.mark.parametrize(
        "value",
        [
            "app.example.org",
            f"{ORIGIN}/",
            f"{ORIGIN}/path",
            "HTTPS://A.example",
            "null",
            "https://",
        ],
    )
    def test_refuses_what_no_browser_sends(self, value: str) -> None:
        with pytest.raises(ConfigurationError, match="WEB_CORS_ORIGINS"):
            load_settings(_env_file=None, web_cors_origins=value)

    def test_refuses_all_origins_in_production(self) -> None:
        with pytest.raises(ConfigurationError, match=r"WEB_CORS_ORIGINS is \*"):
            load_settings(
                _env_file=None,
                app_env=Environment.PRODUCTION,
                app_secret_key="k" * 48,
                web_cors_origins="*",
            )
