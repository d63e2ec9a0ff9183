"""What concerns the security of an account, from the deed to its owner's list."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from strongback.database import utc_now
from tests.support.sign_in import PASSWORD, Client
from tests.support.sign_in import shared_client as client
from tests.support.work import work

__all__ = ["client"]

pytestmark = pytest.mark.speaks_sql


def sign_in(client: Client, device: str) -> str:
    form = {"grant_type": "password", "username": "ada", "password": PASSWORD}
    headers = {"User-Agent": device}
    answer: Any = client.app.test_client().post("/api/v1/auth/token", data=form, headers=headers)
    return str(answer.json["access_token"])


def told(client: Client, token: str) -> list[tuple[str, dict[str, Any]]]:
    work(client.app)
    items = client.call("GET", "/notifications", token).json["items"]
    return [(item["kind"], item["data"]) for item in items]


@pytest.fixture
def ada(client: Client) -> Client:
    client.account("ada")
    return client


def test_a_new_device_is_told_and_a_known_one_is_not(ada):
    for device in ("Firefox", "Firefox", "Safari"):
        sign_in(ada, device)
    token = sign_in(ada, "Firefox")
    kinds_and_devices = [(kind, data["device"]) for kind, data in told(ada, token)]
    assert kinds_and_devices == [
        ("session:new-device", "Safari"),
        ("session:new-device", "Firefox"),
    ]


@pytest.mark.parametrize("days, count", [(89, 1), (91, 2)])
def test_a_device_is_known_for_90_days_although_its_session_has_ended(ada, days, count):
    sign_in(ada, "Firefox")
    past = utc_now() - timedelta(days=days)
    ada.change_sessions(last_used_at=past, expires_at=past + timedelta(days=30))
    with ada.database.scope():
        ada.sessions.clean()
    assert len(told(ada, sign_in(ada, "Firefox"))) == count


def test_the_owner_is_told_of_a_new_password_in_the_same_transaction(ada):
    token = sign_in(ada, "Firefox")
    body = {"current_password": PASSWORD, "new_password": "a good new password"}
    refused = ada.call("PUT", "/users/me/password", token, json=body | {"current_password": "x"})
    assert refused.status_code == 422
    assert ada.call("PUT", "/users/me/password", token, json=body).status_code == 204
    kinds = [kind for kind, _ in told(ada, token)]
    assert kinds == ["account:password-changed", "session:new-device"]


def test_neither_can_be_switched_off(ada):
    token = sign_in(ada, "Firefox")
    for kind in ("account:password-changed", "session:new-device"):
        body = {"kinds": [{"kind": kind, "ways": {"inbox": False}}]}
        response = ada.call("PUT", "/notifications/preferences", token, json=body)
        assert (response.status_code, response.json["error_code"]) == (422, 16001)
