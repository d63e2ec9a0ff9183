"""An application that keeps files, and does nothing else."""

from __future__ import annotations

import io
from collections.abc import Collection
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from flask.testing import FlaskClient
from werkzeug.datastructures import FileStorage
from werkzeug.test import encode_multipart

from strongback import file, oauth, task
from strongback.app import Strongback
from strongback.auth.account import Account
from strongback.config import Settings
from strongback.file import FileKind, FilePermission, Files, Variant
from strongback.testing import empty
from strongback.testing.sign_in import access_token
from tests.support.work import work

PEOPLE = {"ada": 1, "bob": 2, "eve": 3}
NOTE = FileKind("note", types=("text/plain", "application/pdf"), max_bytes=1_000_000)
PAPER = FileKind("paper", types=("text/plain",), max_bytes=50_000_000, is_public=True)
PHOTO = FileKind(
    "photo",
    types=("image/png", "image/jpeg"),
    max_bytes=1_000_000,
    is_public=True,
    variants=(Variant("small", 8, 8, is_cropped=True),),
)
SECRET = FileKind("secret", types=("text/plain",), max_bytes=1000, permission=FilePermission.MANAGE)
USER = frozenset({FilePermission.READ, FilePermission.WRITE, *task.TaskPermission})
ROLES = {"user": USER, "admin": frozenset(FilePermission)}


class People:
    """Ada and Bob, and Eve who manages the files."""

    def account(self, user_id: int, *, lock: bool = False) -> Account | None:
        name = next((name for name, number in PEOPLE.items() if number == user_id), None)
        if name is None:
            return None
        permissions = USER | ROLES["admin"] if name == "eve" else USER
        return Account(user_id, name, permissions, disabled=False, password_changed_at=None)

    def check_password(self, username: str, password: str) -> None:
        """Nobody has one."""

    def account_of_phone(self, phone: str) -> None:
        """The same."""

    def ids_of(self, usernames: Collection[str]) -> dict[str, int]:
        return {name: PEOPLE[name] for name in usernames if name in PEOPLE}


@dataclass
class Cabinet:
    """The application, as its users see it."""

    app: Strongback
    files: Files
    tokens: dict[str, str] = field(default_factory=dict)
    """Access tokens of those who have sent a request."""

    @cached_property
    def client(self) -> FlaskClient:
        return self.app.test_client()

    def call(self, method: str, path: str, *, by: str | None = "ada", **options: Any) -> Any:
        headers = dict(options.pop("headers", {}))
        if by is not None:
            headers["Authorization"] = f"Bearer {self.token(by)}"
        return self.client.open(f"/api{path}", method=method, headers=headers, **options)

    def token(self, name: str) -> str:
        if name not in self.tokens:
            self.tokens[name] = access_token(self.app, PEOPLE[name])
        return self.tokens[name]

    def upload(
        self, content: bytes = b"hello", name: str = "a.txt", kind: str = "note", by: str = "ada"
    ) -> Any:
        body, content_type = multipart(kind, name, content)
        return self.call("POST", "/files", by=by, data=body, content_type=content_type)

    def work(self) -> list[str]:
        """Run what is due; returns the tasks that ran."""
        return work(self.app)

    def used(self, name: str) -> int:
        with self.app.database.scope():
            return self.files.quota.used(PEOPLE[name])

    def close(self) -> None:
        self.app.close()

    def kept(self) -> list[str]:
        """Everything that lies in the folder of the store or waits beside it."""
        var = self.app.settings.app_var_dir
        found = [*(var / "files").rglob("*"), *(var / "upload").rglob("*")]
        return sorted(str(path.relative_to(var)) for path in found if path.is_file())


def multipart(kind: str, name: str, content: bytes) -> tuple[bytes, str]:
    """The body of an upload; the test client's own leaves a temporary file open."""
    parts: dict[str, Any] = {"kind": kind, "file": FileStorage(io.BytesIO(content), name)}
    boundary, body = encode_multipart(parts)
    return body, f"multipart/form-data; boundary={boundary}"


def open_cabinet(settings: Settings, **changes: object) -> Cabinet:
    """A cabinet with other settings; whoever opens it closes it."""
    app = Strongback("cabinet", settings.model_copy(update=changes), title="Files", roles=ROLES)
    empty(app.database)
    task.register(app, "/api")
    oauth.register(app, People(), "/api")
    files = file.register(app, "/api")
    files.declare(NOTE, PAPER, PHOTO, SECRET)
    app.checked()
    return Cabinet(app, files)
