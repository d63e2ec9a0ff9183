from __future__ import annotations

import pytest

from app.core.permission import Role
from app.user.exceptions import UsernameTaken, UserNotFound
from app.user.service import UserService
from strongback.auth.password import verify_password
from strongback.exceptions import ValidationFailed
from strongback.schema import PageQuery
from tests.support.thread import run_together

pytestmark = pytest.mark.speaks_sql


@pytest.fixture
def users(app):
    service: UserService = app.services[UserService]
    with service.database.scope():
        yield service


class TestCreate:
    def test_keeps_a_hash_and_not_the_password(self, users):
        user = users.create("ada", "correct horse", [Role.USER])
        assert "correct horse" not in (user.password_hash or "")
        assert verify_password(user.password_hash or "", "correct horse")

    def test_keeps_the_roles(self, users):
        users.create("ada", None, [Role.ADMIN, Role.AUTHOR])
        assert users.get("ada").roles == [Role.ADMIN, Role.AUTHOR]

    @pytest.mark.parametrize("name", ["ada", "ADA", " ada ", "Ａｄａ", "aDa\t"])
    def test_spellings_of_one_name_are_one_account(self, users, name):
        users.create("ada", None, [Role.USER])
        assert users.get(name).username == "ada"
        with pytest.raises(UsernameTaken):
            users.create(name, None, [Role.USER])

    @pytest.mark.parametrize(
        "name",
        [
            "",
            "ab",
            "a" * 33,
            "-ab",
            "ab-",
            "a b",
            "адa",
            "a.b",
            "a@b",
            "a/b",
            "a\x00b",
            "ada\n\n.",
            "é́da",
            "a\u200bb",
            "😀😀😀",
        ],
    )
    def test_other_characters_are_refused(self, users, name):
        with pytest.raises(ValidationFailed) as caught:
            users.create(name, None, [Role.USER])
        assert [error["field"] for error in caught.value.errors] == ["body.username"]

    @pytest.mark.parametrize("name", ["abc", "a" * 32, "a-b_c", "0a9"])
    def test_others_are_taken(self, users, name):
        assert users.create(name, None, [Role.USER]).username == name

    def test_of_two_at_once_one_is_told_that_the_name_is_taken(self, app, users):
        def create() -> str:
            try:
                with users.database.scope():
                    users.create("ada", None, [Role.USER])
            except UsernameTaken:
                return "taken"
            return "created"

        assert sorted(run_together(create, create)) == ["created", "taken"]


class TestPut:
    def test_makes_what_is_not_there(self, users):
        assert users.put("ada", "correct horse", [Role.USER]).username == "ada"

    def test_changes_what_is(self, users):
        number = users.create("ada", "battery staple", [Role.USER]).id
        user = users.put("ada", "staple battery", [Role.ADMIN])
        assert (user.id, user.roles) == (number, [Role.ADMIN])
        assert verify_password(user.password_hash or "", "staple battery")


class TestFind:
    def test_who_is_not_there_is_not_found(self, users):
        with pytest.raises(UserNotFound):
            users.get("nobody")
        assert not users.exists("nobody")

    @pytest.mark.parametrize("name", ["ad", "adaa", "a%a", "a_a", "adá", "ada\x00"])
    def test_only_the_name_is_the_account(self, users, name):
        users.create("ada", None, [Role.USER])
        assert users.find(name) is None

    def test_the_list_is_by_age(self, users):
        for name in ("zoe", "ada", "eve"):
            users.create(name, None, [Role.USER])
        window = users.list(PageQuery(page_size=2))
        assert [user.username for user in window.items] == ["zoe", "ada"]
        assert window.total == 3


class TestSystemAccount:
    def test_is_made_once(self, users):
        users.ensure_system_account("importer")
        users.ensure_system_account("importer")
        assert users.list(PageQuery()).total == 1
        assert users.get("importer").password_hash is None
