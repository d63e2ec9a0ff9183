"""Permissions and roles: parts declare permissions, the application assigns them to roles."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Self


class Permission(StrEnum):
    """A permission; also the OAuth 2 scope that limits a token to it.

    A part, and the application, declare theirs as members of a subclass:

        class TaskPermission(Permission):
            READ = ("task:read", "View and cancel your tasks.")
    """

    description: str
    """Description, a sentence."""

    def __new__(cls, value: str, description: str = "") -> Self:
        """Make a member, equal to its value, with a description."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.description = description
        return member


Roles = Mapping[str, frozenset[Permission]]
"""Permissions by role."""


def permissions_of(roles: Roles) -> list[Permission]:
    """All permissions of all roles, in the order of declaration."""
    held = frozenset[Permission]().union(*roles.values())
    kinds = sorted({type(each) for each in held}, key=lambda kind: kind.__module__)
    return [each for kind in kinds for each in kind if each in held]


def allowed(roles: Roles, given: Iterable[str]) -> frozenset[Permission]:
    """All permissions of the given roles; `KeyError` if one is unknown."""
    return frozenset[Permission]().union(*(roles[role] for role in given))
