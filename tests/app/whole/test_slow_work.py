"""Slow work keeps no other writer waiting: it is done before a transaction begins, key or not."""

from __future__ import annotations

import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from io import BytesIO
from types import FrameType
from typing import Any

import pytest
from sqlalchemy import update

from app.user.model import User
from app.user.service import UserService
from strongback.auth.password import hash_password
from tests.support.api import API
from tests.support.thread import run_together

pytestmark = pytest.mark.speaks_sql

SLOW = ("argon2", "markdown_it", "zipfile", "yaml")
"""Packages whose work takes long; a password, a text or an archive of somebody's choice does."""
PASSWORD = "correct horse 9"


@contextmanager
def during_slow_work(act: Callable[[], object]) -> Iterator[list[str]]:
    """Act, in another thread, whenever this one enters a slow package for the first time.

    Yields:
        The packages that were entered.
    """
    entered: list[str] = []

    def enter(frame: FrameType, event: str, _: object) -> None:
        parts = frame.f_code.co_filename.split("/")
        for package in SLOW:
            is_there = package in parts or f"{package}.py" in parts
            if event == "call" and is_there and package not in entered:
                entered.append(package)
                run_together(act)

    sys.setprofile(enter)
    try:
        yield entered
    finally:
        sys.setprofile(None)


def archive() -> dict[str, Any]:
    with BytesIO() as file:
        with zipfile.ZipFile(file, "w") as made:
            made.writestr("page.md", "# Page\n\nText.")
        return {"file": (BytesIO(file.getvalue()), "a.zip")}


def create_article(api: API, headers: dict[str, str]) -> Any:
    body = {"title": "Slow", "body": "# Slow\n\nText."}
    return api.post("/articles", body, by="ada", headers=headers)


def register(api: API, headers: dict[str, str]) -> Any:
    return api.post("/users", {"username": "new", "password": PASSWORD}, headers=headers)


def import_archive(api: API, headers: dict[str, str]) -> Any:
    return api.call("POST", "/articles/import", by="ada", data=archive(), headers=headers)


def change_text(api: API, headers: dict[str, str]) -> Any:
    headers = headers | {"If-Match": "*"}
    return api.call("PATCH", "/articles/tea", by="ada", json={"body": "New."}, headers=headers)


def summarize_again(api: API, headers: dict[str, str]) -> Any:
    headers = headers | {"If-Match": "*"}
    return api.call("PATCH", "/articles/tea", by="ada", json={"summary": None}, headers=headers)


def change_password(api: API, headers: dict[str, str]) -> Any:
    values = {"password_hash": hash_password(PASSWORD)}
    api.database.transact(lambda session: session.execute(update(User).values(values)))
    body = {"current_password": PASSWORD, "new_password": f"{PASSWORD} new"}
    return api.call("PUT", "/users/me/password", by="ada", json=body, headers=headers)


@pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "k"}], ids=["no key", "key"])
@pytest.mark.parametrize(
    "write, package",
    [
        (create_article, "markdown_it"),
        (register, "argon2"),
        (import_archive, "zipfile"),
        (change_text, "markdown_it"),
        (summarize_again, "markdown_it"),
        (change_password, "argon2"),
    ],
)
def test_another_writer_is_done_while_the_slow_work_lasts(api, write, package, headers):
    api.article()
    statuses: list[int] = []

    def like() -> None:
        statuses.append(api.call("PUT", "/articles/tea/like", by="eve").status_code)

    with during_slow_work(like) as entered:
        response = write(api, headers)
    assert response.status_code < 300, response.text
    assert package in entered
    assert set(statuses) == {204}


def test_an_account_of_a_command_is_hashed_before_its_transaction(api):
    users = api.app.services[UserService]
    write = partial(users.put, "ada", PASSWORD, [])
    done: list[object] = []

    def like() -> None:
        done.append(api.call("PUT", "/articles/tea/like", by="eve").status_code)

    api.article()
    with api.database.scope(), during_slow_work(like) as entered:
        write()
    assert (entered, done) == (["argon2"], [204])


def test_a_text_that_changes_while_it_is_rendered_is_rendered_again(api):
    api.article(body="Old.")

    def rewrite() -> None:
        if not rewritten:
            rewritten.append(change_text(api, {}))

    rewritten: list[object] = []
    with during_slow_work(rewrite):
        response = summarize_again(api, {})
    assert (response.json["body"], response.json["summary"]) == ("New.", "New.")
