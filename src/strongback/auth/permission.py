"""Permissions and roles: parts declare what they need, the application says which role has it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Self


class Permission(StrEnum):
    """One thing that can be allowed; also the OAuth 2 scope that narrows a token to it.

    A part, and the application, declare theirs as members of a subclass:

        class TaskPermission(Permission):
            READ = ("task:read", "View and cancel your tasks.")
    """

    description: str
    """What it allows, in a sentence."""

    def __new__(cls, value: str, description: str = "") -> Self:
        """Make a member of its value, which it equals, and its description."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.description = description
        return member


Roles = Mapping[str, frozenset[Permission]]
"""What each role allows."""


def permissions_of(roles: Roles) -> list[Permission]:
    """Every permission that some role has, in the order in which they are declared."""
    held = frozenset[Permission]().union(*roles.values())
    kinds = sorted({type(each) for each in held}, key=lambda kind: kind.__module__)
    return [each for kind in kinds for each in kind if each in held]


def allowed(roles: Roles, given: Iterable[str]) -> frozenset[Permission]:
    """Everything that any of the given roles allows.

    Raises:
        KeyError: There is no such role.
    """
    return frozenset[Permission]().union(*(roles[role] for role in given))
