"""What a route needs of its caller, declared on the view and checked before anything is read.

    @api.post("", responses={201: ArticleOut})
    @needs(Permission.ARTICLE_WRITE)
    def create_article(body: ArticleIn, principal: Principal) -> ...:

A view that takes a `principal` gets it; on a `@public` route it is None for a stranger.
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
Authenticate = Callable[[str], Principal]
"""Reads an Authorization header; raises Unauthorized if it proves nothing."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """What a route needs: nothing, a permission."""

    permission: Permission | None

    @property
    def is_public(self) -> bool:
        """Whether strangers are served."""
        return self.permission is None


def public(view: ViewT) -> ViewT:
    """Declare that anybody may call this route."""
    view.__requirement__ = Requirement(None)  # type: ignore[attr-defined]  # read by requirement_of
    return view


def needs(permission: Permission) -> Callable[[ViewT], ViewT]:
    """Declare the permission that callers of this route need."""

    def declare(view: ViewT) -> ViewT:
        view.__requirement__ = Requirement(permission)  # type: ignore[attr-defined]  # read by requirement_of
        return view

    return declare


def requirement_of(view: Callable[..., object]) -> Requirement:
    """What a view declares.

    Raises:
        TypeError: It declares nothing; silence must not mean public.
    """
    requirement = getattr(view, "__requirement__", None)
    if requirement is None:
        msg = f"{view.__module__}.{view.__qualname__}: declare @public or @needs(Permission.…)"
        raise TypeError(msg)
    return requirement  # type: ignore[no-any-return]  # set by `needs` alone


def authorize(
    request: Request, requirement: Requirement, authenticate: Authenticate
) -> Principal | None:
    """Find out who asks, and refuse those who may not (RFC 6750, section 3).

    Raises:
        Unauthorized: The route is not public and no token came, or the token is not good.
        Forbidden: The account or the token's scope does not allow it.
    """
    header = request.environ.get("HTTP_AUTHORIZATION")
    if header is None:
        if requirement.is_public:
            return None
        raise Unauthorized(headers={"WWW-Authenticate": CHALLENGE})
    principal = request.principal = authenticate(header)
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
