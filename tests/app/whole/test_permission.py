"""Who may call which route: one table, compared with what every route answers."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import pytest

from app.article.model import Article
from app.comment.model import Comment
from strongback.database import utc_now
from tests.support.api import API

CALLERS = (None, "eve", "bob", "ada", "admin")
"""Nobody, a user, another author, the owner of what is there, an administrator."""
ANY = {"If-Match": "*"}
PASSWORDS = {"current_password": "wrong password", "new_password": "a good new password"}
PROOF = {
    "phone": "+8613800138000",
    "code": "123456",
    "handle": "0" * 32,
    "current_password": "wrong password",
}
RESET = {"token": "x", "new_password": "a good new password"}
TOKEN = {"grant_type": "password", "username": "nobody", "password": "wrong password"}


@dataclass(frozen=True)
class Call:
    """How a route is called, and what each of the callers gets."""

    statuses: tuple[int, int, int, int, int]
    options: dict[str, Any] = field(default_factory=dict)


def everybody(status: int, **options: Any) -> Call:
    """Nobody is refused."""
    return Call((status, status, status, status, status), options)


def known(status: int, **options: Any) -> Call:
    """Everybody who has an account."""
    return Call((401, status, status, status, status), options)


def owner(status: int, **options: Any) -> Call:
    """The owner and the administrator."""
    return Call((401, 403, 403, status, status), options)


def author(status: int, **options: Any) -> Call:
    """Authors and the administrator."""
    return Call((401, 403, status, status, status), options)


def admin(status: int, **options: Any) -> Call:
    """The administrator alone."""
    return Call((401, 403, 403, 403, status), options)


TABLE = {
    # operation
    "GET /livez": everybody(200),
    "GET /readyz": everybody(503),  # these tables were made without migrations
    "GET /metrics": everybody(200),
    "GET /openapi.json": everybody(200),
    "GET /docs": everybody(200),
    "GET /docs/errors": everybody(200),
    # articles
    "GET /api/v1/articles": everybody(200),
    "POST /api/v1/articles": author(201, json={"title": "New", "body": "b"}),
    "POST /api/v1/articles/import": author(415),
    "GET /api/v1/articles/<slug>": everybody(200),
    "PATCH /api/v1/articles/<slug>": owner(200, json={"title": "New"}, headers=ANY),
    "DELETE /api/v1/articles/<slug>": owner(204, headers=ANY),
    "GET /api/v1/articles/<slug>/like": known(200),
    "PUT /api/v1/articles/<slug>/like": known(204),
    "DELETE /api/v1/articles/<slug>/like": known(204),
    "GET /api/v1/tags": everybody(200),
    "GET /api/v1/search": everybody(200),
    "GET /api/v1/search/suggest": everybody(200),
    # comments
    "GET /api/v1/articles/<slug>/comments": everybody(200),
    "POST /api/v1/articles/<slug>/comments": known(201, json={"body": "b"}),
    "GET /api/v1/comments/<id>": everybody(200),
    "DELETE /api/v1/comments/<id>": owner(204),
    # accounts
    "GET /api/v1/users": everybody(200),
    "POST /api/v1/users": everybody(
        201, json={"username": "newcomer", "password": "a good new password"}
    ),
    "GET /api/v1/users/<username>/avatar": everybody(200),
    "GET /api/v1/users/<username>": everybody(200),
    "PATCH /api/v1/users/<username>": admin(200, json={"disabled": True}),
    "PUT /api/v1/users/<username>/roles": admin(200, json={"roles": ["user"]}),
    # eve cannot follow herself
    "PUT /api/v1/users/<username>/follow": Call((401, 409, 204, 204, 204)),
    "DELETE /api/v1/users/<username>/follow": Call((401, 409, 204, 204, 204)),
    "GET /api/v1/users/me": known(200),
    "PATCH /api/v1/users/me": known(200, json={"email": None}),
    "PUT /api/v1/users/me/password": known(422, json=PASSWORDS),
    "PUT /api/v1/users/me/phone": known(422, json=PROOF),
    "PUT /api/v1/users/me/avatar": known(415),
    "DELETE /api/v1/users/me/avatar": known(204),
    "POST /api/v1/users/me/email/verification": known(409),
    "POST /api/v1/users/me/email/verification/confirmation": everybody(422, json={"token": "x"}),
    "POST /api/v1/auth/password/forgotten": everybody(202, json={"account": "nobody"}),
    "POST /api/v1/auth/password/reset": everybody(422, json=RESET),
    "GET /sign-in": everybody(200),
    # public pages
    "GET /": everybody(200),
    "GET /articles/<slug>": everybody(200),
    "GET /tags": everybody(200),
    "GET /tags/<path:tag>": everybody(404),
    "GET /authors": everybody(200),
    "GET /authors/<name>": everybody(404),
    "GET /search": everybody(200),
    "GET /feed.xml": everybody(200),
    "GET /sitemap.xml": everybody(200),
    "GET /sitemap/<int:part>.xml": everybody(404),
    "GET /robots.txt": everybody(200),
    "GET /favicon.ico": everybody(302),
    # the pages of links in mail
    "GET /account/email": everybody(422),
    "POST /account/email": everybody(422),
    "GET /account/forgotten": everybody(200),
    "POST /account/forgotten": everybody(200),
    "GET /account/password": everybody(422),
    "POST /account/password": everybody(422),
    "GET /account/unsubscribe": everybody(422),
    "POST /account/unsubscribe": everybody(422),
    **{
        f"{method} /account/{path}": everybody(404)
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE")
        for path in ("", "<path:name>")
    },
    "GET /api/v1/users/me/sessions": known(200),
    "DELETE /api/v1/users/me/sessions": known(204),
    "DELETE /api/v1/users/me/sessions/<id>": known(404),
    "GET /api/v1/users/<username>/sessions": admin(200),
    "DELETE /api/v1/users/<username>/sessions": admin(204),
    "DELETE /api/v1/users/<username>/sessions/<id>": admin(404),
    # realtime
    "POST /api/v1/realtime/token": known(200),
    "POST /api/v1/realtime/subscription": known(404, json={"channel": "nothing:1"}),
    "POST /api/v1/realtime/centrifugo/subscribe": everybody(
        403, json={"user": "1", "channel": "nothing:1"}
    ),
    # tasks
    "GET /api/v1/tasks/<id>": known(404),
    "DELETE /api/v1/tasks/<id>": known(404),
    # notifications
    "GET /api/v1/notifications": known(200),
    "POST /api/v1/notifications/read": known(204, json={"all": True}),
    "GET /api/v1/notifications/unread": known(200),
    "GET /api/v1/notifications/preferences": known(200),
    "PUT /api/v1/notifications/preferences": known(200, json={"kinds": []}),
    "POST /api/v1/notifications/unsubscribe": everybody(
        422, query_string={"token": "x"}, data={"List-Unsubscribe": "One-Click"}
    ),
    "GET /api/v1/notifications/unsubscribe": everybody(303, query_string={"token": "x"}),
    # files
    "GET /api/v1/files": known(200),
    "POST /api/v1/files": known(415),
    "POST /api/v1/files/presign": known(409, json={"kind": "attachment", "name": "a", "size": 1}),
    "GET /api/v1/files/<id>": known(422),
    "GET /api/v1/files/<id>/content": everybody(422),
    "POST /api/v1/files/<id>/complete": known(422),
    "DELETE /api/v1/files/<id>": known(422),
    # tokens
    "POST /api/v1/auth/token": everybody(400, data=TOKEN),
    "POST /api/v1/auth/sms-codes": everybody(422, json={"phone": "+85291234567"}),
    "POST /api/v1/auth/revoke": everybody(200, data={"token": "unknown"}),
    "GET /.well-known/oauth-authorization-server": everybody(200),
}


def routes(api: API) -> set[str]:
    return {
        f"{method} {rule.rule}"
        for rule in api.app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }


def test_every_route_is_in_the_table(settings):
    """A new route does not pass unless somebody has said whom it is for."""
    api = API(settings)
    assert routes(api) == set(TABLE)
    api.close()


@pytest.mark.parametrize("route", TABLE)
def test_route_serves_whom_the_table_names(api, route):
    call = TABLE[route]
    add_one_for_each(api)
    api.app.extensions["limiter"] = None
    answers = [ask(api, route, by, call.options) for by in CALLERS]
    assert call.statuses == tuple(answer.status_code for answer in answers)
    for answer in answers:
        if answer.status_code == 401:
            assert answer.headers["WWW-Authenticate"].startswith("Bearer ")


@pytest.mark.parametrize(
    "method, path",
    [("GET", ""), ("PATCH", ""), ("DELETE", ""), ("PUT", "/like"), ("POST", "/comments")],
)
def test_draft_of_somebody_else_is_as_good_as_none(api, method, path):
    api.article(title="Draft", published=False)
    bodies = {"PATCH": {"title": "x"}, "POST": {"body": "b"}}
    for by in ("bob", "eve"):
        draft, none = (
            api.call(method, f"/articles/{slug}{path}", by=by, json=bodies.get(method), headers=ANY)
            for slug in ("draft", "none")
        )
        assert draft.status_code == none.status_code
        assert draft.json["error_code"] == none.json["error_code"]


@pytest.mark.parametrize(
    "by, method, path, body",
    [
        ("ada -article:write", "PATCH", "/articles/tea", {"title": "x"}),
        ("admin -article:manage", "PATCH", "/articles/tea", {"title": "x"}),
        ("eve -comment:write", "POST", "/articles/tea/comments", {"body": "b"}),
        ("eve -like:write", "PUT", "/articles/tea/like", None),
    ],
)
def test_token_whose_scope_withholds_the_permission_is_refused(api, by, method, path, body):
    api.article()
    assert api.call(method, path, by=by, json=body, headers=ANY).status_code == 403


def add_one_for_each(api: API) -> None:
    """Give each of the callers an article and a comment of ada's that no other caller changes."""
    numbers = range(1, len(CALLERS) + 1)
    facts: dict[str, Any] = {"title": "Tea", "body": "b", "html": "b", "language": "en"}
    facts |= {"author": "ada", "published_at": utc_now(), "comments": 1}
    articles = [Article(id=number, slug=f"tea-{number}", **facts) for number in numbers]
    comments = [Comment(id=it, article_id=it, author="ada", body="b") for it in numbers]
    api.database.transact(lambda session: session.add_all([*articles, *comments]))


def ask(api: API, route: str, by: str | None, options: dict[str, Any]) -> Any:
    """Call a route on what was added for the caller."""
    method, rule = route.split()
    number = 1 + CALLERS.index(by)
    values: dict[str, object] = {"slug": f"tea-{number}", "username": "eve", "id": number}
    values |= {"name": "none", "tag": "none", "part": 9}
    path = re.sub(r"<(?:\w+:)?(\w+)>", lambda match: str(values[match[1]]), rule)
    options = (
        options | {"json": personal(options.get("json"), by)} if "json" in options else options
    )
    headers = dict(options.get("headers", {})) | ({"Authorization": f"Bearer {by}"} if by else {})
    sent: dict[str, Any] = options | {"headers": headers}
    return api.app.test_client().open(path, method=method, **sent)


def personal(body: Any, by: str | None) -> Any:
    """A name can be registered once, so each caller chooses another."""
    if isinstance(body, dict) and "username" in body:
        return body | {"username": f"newcomer-{CALLERS.index(by)}"}
    return body
