"""The permission that a route requires, declared on the view and checked first.

    @api.post("", responses={201: ArticleOut})
    @needs(Permission.ARTICLE_WRITE)
    def create_article(body: ArticleIn, principal: Principal) -> ...:

A view with the parameter `principal` gets the caller; on a `@public` route it may be None.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from structlog.contextvars import bind_contextvars

from strongback.auth.exceptions import CHALLENGE
from strongback.auth.permission import Permission
from strongback.auth.principal import Principal
from strongback.exceptions import Forbidden, Unauthorized
from strongback.web.request import Request

ViewT = TypeVar("ViewT", bound=Callable[..., object])
Authenticate = Callable[[str], Principal | None]
"""Returns the principal of an Authorization header, or raises Unauthorized; None where nobody can
sign in."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """The permission that a route requires, or none."""

    permission: Permission | None

    @property
    def is_public(self) -> bool:
        """Whether anybody may call the route."""
        return self.permission is None


def public(view: ViewT) -> ViewT:
    """Declare that anybody may call this route."""
    view.__requirement__ = Requirement(None)  # type: ignore[attr-defined]  # read by requirement_of
    return view


def needs(permission: Permission) -> Callable[[ViewT], ViewT]:
    """Declare the permission that this route requires."""

    def declare(view: ViewT) -> ViewT:
        view.__requirement__ = Requirement(permission)  # type: ignore[attr-defined]  # read by requirement_of
        return view

    return declare


def requirement_of(view: Callable[..., object]) -> Requirement:
    """The requirement that a view declares; none is a `TypeError`, and must not mean public."""
    requirement = getattr(view, "__requirement__", None)
    if requirement is None:
        msg = f"{view.__module__}.{view.__qualname__}: declare @public or @needs(Permission.…)"
        raise TypeError(msg)
    return requirement  # type: ignore[no-any-return]  # set by `needs` alone


def authorize(
    request: Request, requirement: Requirement, authenticate: Authenticate
) -> Principal | None:
    """Authenticate the caller and check the requirement (RFC 6750, section 3).

    Raises:
        Unauthorized: The token is invalid, or missing on a route that is not public.
        Forbidden: The account or the scope of the token lacks the permission.
    """
    header = request.environ.get("HTTP_AUTHORIZATION")
    principal = None if header is None else authenticate(header)
    if principal is None:
        if requirement.is_public:
            return None
        raise Unauthorized(headers={"WWW-Authenticate": CHALLENGE})
    request.principal = principal
    bind_contextvars(user=principal.username)
    if requirement.permission is None or principal.may(requirement.permission):
        return principal
    if requirement.permission in principal.withheld:
        challenge = f'{CHALLENGE}, error="insufficient_scope", scope="{requirement.permission}"'
        raise Forbidden(
            "The token's scope does not include {permission}.",
            params={"permission": requirement.permission},
            headers={"WWW-Authenticate": challenge},
        )
    raise Forbidden
