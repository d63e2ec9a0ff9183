from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import delete, func, select
from werkzeug.test import TestResponse

from app.core.config import Settings
from app.demo import ensure_accounts
from app.main import create_app
from app.user.model import User
from app.user.service import UserService
from strongback.auth.session_model import AuthSession
from strongback.config import Environment, LogFormat
from strongback.database import Base, Database
from strongback.testing import empty
from tests.support.kept import Kept
from tests.support.sign_in import Client

HEADER = {"X-Token-Transport": "cookie"}
CONSOLE = {"log_format": LogFormat.CONSOLE}
"""What all applications of a process log by."""
HERE = "http://127.0.0.1:8000"


def with_accounts(settings: Settings) -> Client:
    """The application with the demo's accounts."""
    settings.app_var_dir.mkdir(parents=True, exist_ok=True)
    client = Client(settings)
    client.empty()
    ensure_accounts(client.app.services[UserService], settings.app_var_dir / "demo.json")
    return client


@pytest.fixture
def development(kept: Kept, settings: Settings) -> Client:
    """The application as `make run` starts it; nobody is signed in."""
    settings = settings.model_copy(update={"app_env": Environment.DEVELOPMENT})
    client = kept.get(with_accounts, settings)
    client.database.transact(lambda session: session.execute(delete(AuthSession)))
    return client


def click(client: FlaskClient, role: str = "admin", base: str = HERE, **more: Any) -> TestResponse:
    """Sign in as the button of a role does."""
    headers = HEADER | {"Origin": base, "Sec-Fetch-Site": "same-origin"} | more.pop("headers", {})
    headers = {name: value for name, value in headers.items() if value}
    return client.post(f"/demo/{role}", data={}, headers=headers, base_url=base, **more)


def sessions(client: Client) -> int:
    with client.database.scope():
        return client.database.session.scalar(select(func.count()).select_from(AuthSession)) or 0


class TestSignIn:
    @pytest.mark.parametrize(
        "base", [HERE, "http://localhost:8000", "http://[::1]:8000", "http://127.8.0.1"]
    )
    def test_one_click_signs_in_on_this_machine(self, development: Client, base: str):
        response = click(development.app.test_client(), "author", base)
        assert response.status_code == 200
        assert response.get_json()["username"] == "author"
        assert response.headers["Set-Cookie"].startswith("strongback=")
        assert development.status(response.get_json()["access_token"]) == 200

    def test_a_thousand_attempts_from_elsewhere_are_all_refused(self, development: Client):
        client = development.app.test_client()
        addresses = ["192.0.2.7", "10.0.0.1", "2001:db8::7", "0.0.0.0", "", "128.0.0.1"]
        hosts = [
            "http://evil.example.org",
            "http://192.0.2.7:8000",
            "http://localhost.evil.example.org",
            "http://127.0.0.1.evil.example.org",
            "http://evil-localhost",
            "http://0.0.0.0:8000",
        ]
        for number in range(500):
            address = addresses[number % len(addresses)]
            response = click(client, environ_overrides={"REMOTE_ADDR": address})
            assert response.status_code == 404, address
            base = hosts[number % len(hosts)]
            assert click(client, base=base).status_code == 404, base
        assert sessions(development) == 0

    @pytest.mark.parametrize(
        "headers",
        [
            {"X-Token-Transport": ""},
            {"X-Token-Transport": "body"},
            {"X-Forwarded-For": "127.0.0.1"},
            {"X-Forwarded-Proto": "https"},
            {"Forwarded": "for=127.0.0.1"},
            {"Via": "1.1 proxy"},
            {"Origin": "http://evil.example.org"},
            {"Origin": "null"},
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},
            {"Sec-Fetch-Site": "none"},
        ],
        ids=str,
    )
    def test_through_a_proxy_or_from_another_page_it_is_not_there(
        self, development: Client, headers: dict[str, str]
    ):
        response = click(development.app.test_client(), headers=headers)
        assert response.status_code == 404
        assert "Set-Cookie" not in response.headers
        assert sessions(development) == 0

    def test_only_the_demo_accounts_are_signed_in(self, development: Client):
        development.account("ada")
        for role in ("ada", "root", "..%2Fadmin"):
            assert click(development.app.test_client(), role).status_code == 404


class TestStrip:
    def test_development_shows_what_runs_and_what_swaps_it(self, development: Client):
        assert development.app.pages.strip is not None
        page = development.app.pages.strip("en", "/")
        assert "It runs." in page
        for variable in ("MYSQL_HOST", "REDIS_URL", "MEILI_URL", "FILE_STORE_URL", "MAIL_URL"):
            assert variable in page
        assert 'data-demo="/demo/admin"' in page

    def test_the_sign_in_page_shows_its_buttons_alone(self, development: Client):
        page = development.app.test_client().get("/sign-in").text
        assert 'data-demo="/demo/admin"' in page
        assert "MYSQL_HOST" not in page

    @pytest.mark.parametrize(
        "changes",
        [
            {"app_env": Environment.PRODUCTION, "app_url": "https://localhost"} | CONSOLE,
            {"app_env": Environment.TEST},
            {"app_env": Environment.DEVELOPMENT, "web_proxies": 1},
        ],
        ids=["production", "test", "behind a proxy"],
    )
    def test_elsewhere_there_is_none_and_no_way_to_sign_in_by_it(self, settings, changes):
        client = with_accounts(settings.model_copy(update=changes))
        web = client.app.test_client()
        for path in ("/", "/sign-in"):
            assert "development only" not in web.get(path, base_url="https://localhost").text
        for base in (HERE, "https://localhost"):
            assert click(web, base=base).status_code == 404
        client.close()


@pytest.mark.parametrize("command", [["serve", "--demo"], ["demo"]])
def test_production_gets_no_account_whose_password_is_printed(settings, command):
    app = create_app(settings.model_copy(update={"app_env": Environment.PRODUCTION} | CONSOLE))
    database: Database = app.services[Database]
    empty(database, Base.metadata)
    result = app.test_cli_runner().invoke(args=command)
    assert result.exit_code == 1
    assert "Demo accounts do not belong in production" in result.output
    with database.scope():
        assert database.session.scalar(select(func.count()).select_from(User)) == 0
    database.close()
