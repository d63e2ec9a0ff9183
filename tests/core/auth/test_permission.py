from __future__ import annotations

import importlib.util

import pytest

from app.core.auth.permission import MATRIX, Permission, Role, permissions_of
from app.core.config import ROOT


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


def generated():
    spec = importlib.util.spec_from_file_location("permission", ROOT / "docs" / "permission.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.pages()


@pytest.mark.parametrize("name", ["permission.md", "permission.zh.md"])
def test_the_guide_has_the_table_of_the_code(name: str):
    """After a change of roles or permissions: `python docs/permission.py`."""
    path = ROOT / "docs" / "guide" / name
    assert path.read_text(encoding="utf-8") == generated()[path]
