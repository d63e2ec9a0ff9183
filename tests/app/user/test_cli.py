from __future__ import annotations

import pytest

from app.user.service import UserService


def test_makes_an_account(library, client):
    status, output = library.run("user", "create", "ada", "--password", "correct horse")
    assert (status, output) == (0, "Created ada (user).\n")
    assert client.get("/api/v1/users/ada").status_code == 200


def test_gives_the_roles_that_are_named(library, client):
    library.run(
        "user",
        "create",
        "ada",
        "--role",
        "admin",
        "--role",
        "author",
        "--password",
        "correct horse",
    )
    with library.database.scope():
        users: UserService = library.app.services[UserService]
        assert users.get("ada").roles == ["admin", "author"]


def test_folds_the_name(library):
    assert (
        library.run("user", "create", "ADA", "--password", "correct horse")[1]
        == "Created ada (user).\n"
    )


def test_says_that_a_name_is_taken(library):
    library.run("user", "create", "ada", "--password", "correct horse")
    status, output = library.run("user", "create", "Ada", "--password", "correct horse")
    assert (status, output) == (1, "Error: The username is already taken.\n")


@pytest.mark.parametrize("name", ["ab", "a b", "-", "é"])
def test_says_which_names_are_taken(library, name):
    status, output = library.run("user", "create", "--password", "correct horse", "--", name)
    assert status == 1
    assert "Use 3 to 32 of the characters" in output


def test_refuses_an_unknown_role(library):
    status, output = library.run(
        "user", "create", "ada", "--role", "king", "--password", "correct horse"
    )
    assert status == 2
    assert "'king' is not one of" in output


def test_the_password_is_not_printed(library):
    assert (
        "correct horse"
        not in library.run("user", "create", "ada", "--password", "correct horse")[1]
    )
