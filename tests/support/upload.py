"""Uploads to the reference application in this process, by people who are signed in."""

from __future__ import annotations

import io
from typing import Any

from werkzeug.datastructures import FileStorage
from werkzeug.test import encode_multipart

from app.core.permission import Role
from app.user.service import UserService
from strongback.app import Strongback
from strongback.testing.sign_in import access_token
from tests.web_fixture import Library


def signed_in(app: Strongback, name: str, *roles: Role) -> dict[str, str]:
    """The headers of a new account."""
    Library(app).add_user(name, *roles)
    with app.database.scope():
        number = app.services[UserService].ids_of([name])[name]
    return {"Authorization": f"Bearer {access_token(app, number)}"}


def form_of(content: bytes, name: str, **fields: str) -> dict[str, Any]:
    """The body of an upload; the test client's own leaves a temporary file open."""
    parts: dict[str, Any] = {**fields, "file": FileStorage(io.BytesIO(content), name)}
    boundary, body = encode_multipart(parts)
    return {"data": body, "content_type": f"multipart/form-data; boundary={boundary}"}
