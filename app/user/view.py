"""Routes of accounts."""

from __future__ import annotations

from typing import cast

from app.core.permission import Permission, Role
from app.user.account import AccountService
from app.user.exceptions import UserNotFound, WrongPassword
from app.user.follow import FollowService
from app.user.model import User
from app.user.node import UserPages
from app.user.schema import (
    AccountChange,
    AccountOut,
    PasswordIn,
    PhoneIn,
    ProfileIn,
    ProfileOut,
    RolesIn,
    SessionOut,
    SessionPath,
    SessionQuery,
    UserIn,
    UserOut,
    UserPath,
    UserSessionPath,
)
from app.user.service import UserService
from strongback.auth.principal import Principal
from strongback.auth.session_model import AuthSession
from strongback.auth.session_service import SessionService
from strongback.paging import Window
from strongback.schema import Page, PageQuery
from strongback.sms.exceptions import WrongCode
from strongback.web import (
    APIBlueprint,
    OptionalIfMatch,
    Response,
    client_address,
    conditional,
    idempotent,
    inject,
    limited,
    needs,
    public,
    tag_headers,
)
from strongback.web.blueprint import shaper_of
from strongback.web.limit import forgive, guess_limited, own_name, welcome
from strongback.web.limit import principal as principal_key
from strongback.web.request import current_request

api = APIBlueprint("users", __name__, url_prefix="/api/v1/users")
users = inject(UserService)
pages = inject(UserPages)
accounts = inject(AccountService)
follows = inject(FollowService)
sessions = inject(SessionService)
_as_account, _as_accounts = shaper_of(AccountOut), shaper_of(Page[AccountOut])


@api.get("", responses={200: Page[UserOut]})
@public
def list_users(query: PageQuery, principal: Principal | None) -> Window[User] | Response:
    """List accounts, oldest first; `user:manage` adds roles and `disabled`."""
    window = users.list(query)
    if principal is not None and principal.may(Permission.USER_MANAGE):
        return cast("Response", _as_accounts(window))
    return window


@api.post("", responses={201: ProfileOut})
@public
@limited("100/hour", key=client_address, on_outage="process")
@idempotent
def register_user(body: UserIn) -> tuple[User, int, dict[str, str]]:
    """Register an account.

    The response tells whether a username is taken, but nothing about the e-mail address or the
    telephone number, which are not looked up. Earlier failed sign-ins under this username do not
    count against the network that registers it.
    """
    user = users.create(
        body.username,
        body.password,
        [Role.USER],
        email=body.email,
        phone=body.phone,
        locale=current_request().locale,
    )
    welcome(user.username)
    return user, 201, {"Location": f"{api.url_prefix}/{user.username}"}


@api.get("/me", responses={200: ProfileOut})
@needs(Permission.PROFILE_READ)
def read_profile(principal: Principal) -> User | Response:
    """Get your account."""
    return conditional(
        lambda: accounts.own(principal), validators=lambda: accounts.own(principal).validators
    )


@api.patch("/me", responses={200: ProfileOut})
@needs(Permission.PROFILE_WRITE)
@limited("10/minute", key=principal_key, on_outage="closed", counts=WrongPassword)
@guess_limited(key=own_name, counts=WrongPassword)
def change_profile(
    header: OptionalIfMatch, body: ProfileIn, principal: Principal
) -> tuple[User, dict[str, str]]:
    """Change your account; needs the current password or a recent sign-in."""
    changes = body.model_dump(exclude_unset=True, exclude={"current_password"})
    user = accounts.change_profile(principal, changes, body.current_password, header.expected)
    return user, tag_headers(user)


@api.put("/me/password", responses={204: None})
@needs(Permission.PROFILE_WRITE)
@limited("10/minute", key=principal_key, on_outage="closed", counts=WrongPassword)
@guess_limited(key=own_name, counts=WrongPassword)
def change_password(body: PasswordIn, principal: Principal) -> None:
    """Change your password, and sign out all other devices."""
    accounts.change_password(principal, body.current_password, body.new_password)


@api.put("/me/phone", responses={200: ProfileOut})
@needs(Permission.PROFILE_WRITE)
@limited("10/minute", key=principal_key, on_outage="closed", counts=(WrongPassword, WrongCode))
@guess_limited(key=own_name, counts=WrongPassword)
def prove_phone(body: PhoneIn, principal: Principal) -> User:
    """Verify your telephone number by a code; afterwards it can be used to sign in."""
    return accounts.prove_phone(
        principal, body.phone, body.handle, body.code, body.current_password
    )


@api.get("/me/sessions", responses={200: Page[SessionOut]})
@needs(Permission.PROFILE_READ)
def list_sessions(query: SessionQuery, principal: Principal) -> Window[SessionOut]:
    """List your sessions, most recently used first."""
    return _sessions_of(principal.user_id, query, principal)


def _sessions_of(user_id: int, query: SessionQuery, principal: Principal) -> Window[SessionOut]:
    wanted = PageQuery(page=query.page, page_size=query.page_size)
    window = sessions.list(user_id, wanted)
    items = [_session_out(session, principal) for session in window.items]
    return Window(items, window.page_size, page=window.page, total=window.total)


def _session_out(session: AuthSession, principal: Principal) -> SessionOut:
    shown = SessionOut.model_validate(session)
    return shown.model_copy(update={"current": session.id == principal.session_id})


@api.delete("/me/sessions", responses={204: None})
@needs(Permission.PROFILE_WRITE)
def end_other_sessions(principal: Principal) -> None:
    """Sign out all other devices; needs a recent sign-in."""
    accounts.end_other_sessions(principal)


@api.delete("/me/sessions/<id>", responses={204: None})
@needs(Permission.PROFILE_WRITE)
def end_session(path: SessionPath, principal: Principal) -> None:
    """Sign out a device; for any but this one, needs a recent sign-in."""
    accounts.end_session(principal, path.id)


@api.get("/<username>", responses={200: UserOut})
@public
def read_user(path: UserPath, principal: Principal | None) -> Response:
    """Get an account; `user:manage` adds roles and `disabled`."""
    if principal is not None and principal.may(Permission.USER_MANAGE):
        return cast("Response", _as_account(users.get(path.username)))
    if body := pages.user(path.username):
        return Response.of_data(body)
    raise UserNotFound


@api.patch("/<username>", responses={200: AccountOut})
@needs(Permission.USER_MANAGE)
def change_account(path: UserPath, body: AccountChange, principal: Principal) -> User:
    """Disable or enable an account; enabling also resets its failed sign-ins."""
    user = accounts.set_disabled(principal, path.username, disabled=body.disabled)
    if not user.disabled:
        forgive(user.username)
    return user


@api.put("/<username>/follow", responses={204: None})
@needs(Permission.FOLLOW_WRITE)
@limited("60/minute", key=principal_key, on_outage="process", name="follow")
def follow_user(path: UserPath, principal: Principal) -> None:
    """Follow an account to be notified of its articles; repeating it has no effect."""
    follows.follow(principal.username, path.username)


@api.delete("/<username>/follow", responses={204: None})
@needs(Permission.FOLLOW_WRITE)
@limited("60/minute", key=principal_key, on_outage="process", name="follow")
def unfollow_user(path: UserPath, principal: Principal) -> None:
    """Stop following an account; without following it, this has no effect."""
    follows.unfollow(principal.username, path.username)


@api.put("/<username>/roles", responses={200: AccountOut})
@needs(Permission.USER_MANAGE)
def change_roles(path: UserPath, body: RolesIn, principal: Principal) -> User:
    """Set the roles of an account."""
    return accounts.set_roles(principal, path.username, body.roles)


@api.get("/<username>/sessions", responses={200: Page[SessionOut]})
@needs(Permission.USER_MANAGE)
def list_user_sessions(
    path: UserPath, query: SessionQuery, principal: Principal
) -> Window[SessionOut]:
    """List the sessions of an account, most recently used first."""
    return _sessions_of(users.get(path.username).id, query, principal)


@api.delete("/<username>/sessions", responses={204: None})
@needs(Permission.USER_MANAGE)
def end_user_sessions(path: UserPath, principal: Principal) -> None:
    """Sign out all devices of an account."""
    accounts.end_sessions(principal, path.username, None)


@api.delete("/<username>/sessions/<id>", responses={204: None})
@needs(Permission.USER_MANAGE)
def end_user_session(path: UserSessionPath, principal: Principal) -> None:
    """Sign out one device of an account."""
    accounts.end_sessions(principal, path.username, path.id)
