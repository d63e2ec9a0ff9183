"""The whole application with a few accounts, called as one of them.

Who calls is said by a stand-in of the authenticator that believes the name it is told; real tokens
have tests of their own.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import insert
from werkzeug.test import TestResponse

from app.core.config import Settings
from app.core.permission import ROLES, Role, allowed
from app.main import create_app
from app.user.model import User
from strongback.auth.principal import Principal
from strongback.database import Database, utc_now
from strongback.exceptions import Unauthorized
from tests.support.kept import reset

ACCOUNTS = {"admin": Role.ADMIN, "ada": Role.AUTHOR, "bob": Role.AUTHOR, "eve": Role.USER}


class TrustingAuthenticator:
    """Takes `Bearer <username>` for proof; ` -article:write` after it withholds a permission."""

    def __call__(self, header: str) -> Principal:
        scheme, name, *withheld = header.split()
        if scheme != "Bearer" or name not in ACCOUNTS:
            raise Unauthorized
        held_back = frozenset(item.removeprefix("-") for item in withheld)
        return Principal(
            user_id=1 + list(ACCOUNTS).index(name),
            username=name,
            permissions=allowed([ACCOUNTS[name]]) - held_back,
            withheld=ROLES[ACCOUNTS[name]] & held_back,
            session_id=f"session-{name}",
            signed_in_at=utc_now(),
        )


class API:
    """The application and its database."""

    def __init__(self, settings: Settings) -> None:
        self.app = create_app(settings)
        self.app.extensions["authenticate"] = TrustingAuthenticator()
        self.database: Database = self.app.services[Database]

    def reset(self) -> None:
        """Have the accounts and nothing else, as at the first time."""
        reset(self.app)
        self.fill()

    def fill(self) -> None:
        """Make the accounts."""
        users = [
            {"id": number, "username": name, "roles": [role.value]}
            for number, (name, role) in enumerate(ACCOUNTS.items(), 1)
        ]
        self.database.transact(lambda session: session.execute(insert(User), users))

    def call(
        self,
        method: str,
        path: str,
        *,
        by: str | None = None,
        headers: dict[str, str] | None = None,
        **options: Any,
    ) -> TestResponse:
        """Send a request, as an account if one is named; `path` continues `/api/v1`."""
        sent = dict(headers or {}) | ({"Authorization": f"Bearer {by}"} if by else {})
        return self.app.test_client().open(f"/api/v1{path}", method=method, headers=sent, **options)

    def post(self, path: str, json: object = None, *, by: str | None = None, **more: Any) -> Any:
        """POST, answering the response."""
        return self.call("POST", path, by=by, json=json, **more)

    def article(self, by: str = "ada", **fields: object) -> dict[str, Any]:
        """Make a published article and return what was answered, with its `etag`."""
        body = {"title": "Tea", "body": "Leaves.", "published": True} | fields
        response = self.post("/articles", body, by=by)
        assert response.status_code == 201, response.get_data(as_text=True)
        article: dict[str, Any] = response.get_json()
        return article | {"etag": response.headers["ETag"]}

    def close(self) -> None:
        """Close what is open."""
        self.app.close()
