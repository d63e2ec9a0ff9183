from __future__ import annotations

from app.core.auth.permission import MATRIX, Permission, Role, permissions_of


def test_a_role_allows_more_than_the_one_below():
    assert MATRIX[Role.USER] < MATRIX[Role.AUTHOR] < MATRIX[Role.ADMIN]
    assert MATRIX[Role.ADMIN] == set(Permission)


def test_several_roles_allow_what_any_of_them_does():
    assert permissions_of(["user", "author"]) == MATRIX[Role.AUTHOR]
    assert permissions_of([]) == frozenset()


def test_a_permission_is_its_own_scope_and_says_what_it_allows():
    assert Permission("like:write") is Permission.LIKE_WRITE
    assert str(Permission.LIKE_WRITE) == "like:write"
    assert all(permission.description.endswith(".") for permission in Permission)
