"""Routes of accounts."""

from __future__ import annotations

from app.core.paging import Window
from app.core.schema import Page, PageQuery
from app.core.web import APIBlueprint, Response, conditional, provided, public
from app.user.model import User
from app.user.schema import UserOut, UserPath
from app.user.service import UserService

api = APIBlueprint("users", __name__, url_prefix="/api/v1/users")
users = provided(UserService)


@api.get("", responses={200: Page[UserOut]})
@public
def list_users(query: PageQuery) -> Window[User]:
    """List accounts, oldest first."""
    return users.list(query)


@api.get("/<username>", responses={200: UserOut})
@public
def read_user(path: UserPath) -> User | Response:
    """Read one account."""
    return conditional(
        lambda: users.get(path.username), validators=lambda: users.validators(path.username)
    )
