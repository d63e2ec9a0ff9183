from __future__ import annotations

from functools import partial

import pytest
from sqlalchemy import func, select

from app.user.follow import FollowService
from app.user.model import Follow
from tests.support.api import API
from tests.support.thread import run_together

pytestmark = pytest.mark.speaks_sql


def call(api: API, method: str, name: str, by: str = "eve") -> int:
    return api.call(method, f"/users/{name}/follow", by=by).status_code


def count(api: API) -> int:
    with api.database.scope():
        return api.database.session.scalar(select(func.count()).select_from(Follow)) or 0


def test_twice_is_once(api):
    assert [call(api, "PUT", "ada"), call(api, "PUT", "ada"), count(api)] == [204, 204, 1]
    assert [call(api, "DELETE", "ada"), call(api, "DELETE", "ada"), count(api)] == [204, 204, 0]


def test_ends_for_whoever_ends_it(api):
    for name in ("eve", "bob"):
        call(api, "PUT", "ada", by=name)
    call(api, "PUT", "bob", by="eve")
    call(api, "DELETE", "ada", by="eve")
    service: FollowService = api.app.services[FollowService]
    with api.database.scope():
        assert list(service.followers("ada", "", 10)) == ["bob"]
        assert list(service.followers("bob", "", 10)) == ["eve"]


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_oneself_is_refused(api, method):
    response = api.call(method, "/users/eve/follow", by="eve")
    assert (response.status_code, response.json["error_code"]) == (409, 20005)


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_nobody_is_not_found(api, method):
    response = api.call(method, "/users/nobody/follow", by="eve")
    assert (response.status_code, response.json["error_code"]) == (404, 20001)


def test_ten_at_once_are_one(api):
    assert set(run_together(*[partial(call, api, "PUT", "ada")] * 10)) == {204}
    assert count(api) == 1


def test_token_without_the_scope_is_refused(api):
    assert call(api, "PUT", "ada", by="eve -follow:write") == 403


def test_followers_come_in_order_after_a_name(api):
    for name in ("eve", "admin", "bob"):
        call(api, "PUT", "ada", by=name)
    service: FollowService = api.app.services[FollowService]
    with api.database.scope():
        assert list(service.followers("ada", "", 2)) == ["admin", "bob"]
        assert list(service.followers("ada", "bob", 2)) == ["eve"]
