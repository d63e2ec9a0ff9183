"""The whole application, with accounts that sign in by their passwords."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from sqlalchemy import select, update

from app.core.config import Settings
from app.core.permission import Role
from app.main import create_app
from app.user.model import User
from strongback.auth.password import hash_password
from strongback.auth.session_model import AuthSession
from strongback.auth.session_service import Device, SessionService
from strongback.auth.token import AccessTokens
from strongback.database import Database
from strongback.oauth import FIRST_PARTY, OAuthServer
from tests.support.kept import Kept, reset

PASSWORD = '"key" 12345678'
TOKEN = "/api/v1/auth/token"


@cache
def _hashed(password: str) -> str:
    """The hash of a password, which takes as long as the rest of a test."""
    return hash_password(password)


class Client:
    """An application and its database; several on one address are as many processes."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings.model_copy(update={"web_rate_limits": False})
        self.app = create_app(self.settings)
        self.database: Database = self.app.services[Database]
        self.sessions: SessionService = self.app.services[SessionService]

    def empty(self) -> None:
        """Make the tables, and delete and forget what an earlier test has left."""
        reset(self.app)

    def account(self, username: str, *roles: Role, password: str = PASSWORD) -> User:
        """Make an account."""
        user = User(username=username, password_hash=_hashed(password), locale="en")
        user.roles = list(roles or (Role.USER,))
        self.database.transact(lambda session: session.add(user))
        return user

    def signed_in(self, username: str, *roles: Role) -> str:
        """Make an account and return an access token of it."""
        self.account(username, *roles)
        return str(self.open_session(username)["access_token"])

    def call(self, method: str, path: str, token: str | None = None, **more: Any) -> Any:
        """Send a request; `path` continues `/api/v1`."""
        headers = dict(more.pop("headers", {}))
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        return self.app.test_client().open(f"/api/v1{path}", method=method, headers=headers, **more)

    def open(self, path: str, method: str = "GET", **more: Any) -> Any:
        """Send a request to a whole path."""
        return self.app.test_client().open(path, method=method, **more)

    def ask_token(self, **form: Any) -> Any:
        """Send a form to the token endpoint."""
        return self.app.test_client().post(TOKEN, data=form)

    def sign_in(self, username: str, password: str = PASSWORD, **form: str) -> dict[str, Any]:
        """Sign in and return the tokens."""
        answer = self.ask_token(grant_type="password", username=username, password=password, **form)
        assert answer.status_code == 200, answer.get_data(as_text=True)
        return dict(answer.get_json())

    def open_session(self, username: str) -> dict[str, Any]:
        """Return the tokens of a new session, without the check of a password."""
        server: OAuthServer = self.app.services[OAuthServer]
        with self.database.scope():
            user_id = self.database.session.scalars(
                select(User.id).filter_by(username=username)
            ).one()
            account = server.accounts.account(user_id)
            assert account is not None
            grant = self.sessions.open(account, FIRST_PARTY, None, Device("tests", "127.0.0.1"))
        assert grant is not None
        return dict(server.token_response(grant, None))

    def refresh(self, refresh_token: str, **form: str) -> Any:
        """Ask for new tokens."""
        return self.ask_token(grant_type="refresh_token", refresh_token=refresh_token, **form)

    def status(self, token: str) -> int:
        """What an access token is answered."""
        return int(self.call("GET", "/users/me", token).status_code)

    def tokens(self) -> AccessTokens:
        """What signs the application's tokens."""
        address = self.settings.address
        return AccessTokens(address, f"{address}/api/v1", self.settings.secrets)

    def change_sessions(self, **values: Any) -> None:
        """Write to every session, as time would have done."""
        with self.database.scope():
            self.database.transact(
                lambda session: session.execute(update(AuthSession).values(**values))
            )
        self.sessions.cache.forget()

    def close(self) -> None:
        """Close what is open."""
        self.app.close()
        self.database.close()  # of another application, where a test has changed that


@pytest.fixture
def shared_client(kept: Kept, settings: Settings, database_url: str) -> Client:
    """As `client`, of all tests of a module that change nothing but by requests."""
    return kept.emptied(Client, settings, database_url)


@pytest.fixture
def shared_sqlite_client(kept: Kept, settings: Settings) -> Client:
    """As `sqlite_client`, and shared."""
    return kept.emptied(Client, settings)


@pytest.fixture
def client(settings: Settings, database_url: str) -> Iterator[Client]:
    """The application on each back end, empty."""
    client = Client(settings.model_copy(update={"database_url": database_url}))
    client.empty()
    yield client
    client.close()


@pytest.fixture
def sqlite_client(settings: Settings) -> Iterator[Client]:
    """The application on SQLite, empty, for what no back end has a part in."""
    settings.app_var_dir.mkdir(parents=True, exist_ok=True)
    client = Client(settings)
    client.empty()
    yield client
    client.close()
