"""The official JavaScript SDK against our server, in both encodings."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta

import pytest

from strongback.realtime import Channels, Grant, History
from strongback.realtime.message import Close
from strongback.realtime.token import LIFETIME, RealtimeTokens
from tests.support.javascript import NodeClient, run_client
from tests.support.sdk import Live, living

COMES_BACK = (3001, 3004, 3005, 3008, 3010, 3012, 3013, 1012, 4401)
FINAL = (3500, 3501, 3502, 3503, 3504, 3508, 4501)


@pytest.fixture(params=["json", "protobuf"])
def encoding(request) -> str:
    name: str = request.param
    return name


@pytest.fixture
def live(settings, starts_processes) -> Iterator[Live]:
    room = Channels("room", history=History(3, timedelta(minutes=5)), presence=True)

    @room.authorize
    def may_enter(principal, rest):
        return Grant(data={"open": True}) if rest != "closed" else None

    with living(settings, room) as live:
        live.user_id = live.account("carol")
        yield live


@pytest.fixture
def client(live, encoding, tmp_path) -> Iterator[NodeClient]:
    connection = live.connection(live.headers(live.user_id))
    with run_client(tmp_path, connection["url"], encoding) as client:
        assert client.connect(connection["token"])["event"] == "connected"
        yield client


def close(live: Live, code: int) -> None:
    live.realtime.broker.disconnect(live.user_id, close=Close(code, "told to"))


def test_subscribe_presence_and_history(live, client):
    client.tell("subscribe", channel="room:7")
    assert client.next("subscribed")["data"] == {"open": True}
    live.emit("room:7", {"text": "绿茶"})
    found = client.next("publication")
    assert (found["data"], found["offset"]) == ({"text": "绿茶"}, 1)
    client.tell("presence", channel="room:7")
    assert client.next("presence")["clients"] == [{"username": "carol"}]
    client.tell("history", channel="room:7", limit=10)
    assert client.next("history")["data"] == [{"text": "绿茶"}]
    live.emit(live.realtime.personal(live.user_id), [1])
    client.until("personal", data=[1])
    client.tell("subscribe", channel="room:closed")
    assert client.next("unsubscribed")["code"] == 103


def test_a_client_that_was_cut_gets_what_it_missed_or_is_told(live, client):
    client.tell("subscribe", channel="room:7")
    client.next("subscribed")
    live.realtime.publish("room:7", 1)
    assert client.next("publication")["data"] == 1
    close(live, 3012)
    client.next("connecting")
    live.realtime.publish("room:7", 2)
    assert client.next("publication")["data"] == 2, "in the reply, or live, and once"
    client.tell("disconnect")
    client.next("disconnected")
    for number in range(3, 7):  # one more than are kept
        live.realtime.publish("room:7", number)
    client.tell("connect")
    again = client.next("subscribed")
    assert (again["wasRecovering"], again["recovered"]) == (True, False)


def test_after_these_codes_the_sdk_comes_back(live, client):
    for code in COMES_BACK:
        close(live, code)
        told = client.next("connecting", "disconnected")
        assert told == {"event": "connecting", "code": code if code >= 3000 else 1}
        client.next("connected")


def test_after_these_codes_it_does_not(live, client):
    for code in FINAL:
        close(live, code)
        assert client.next("connecting", "disconnected") == {"event": "disconnected", "code": code}
        client.tell("connect")
        client.next("connected")


def test_a_token_is_refreshed_on_the_open_connection(live, encoding, tmp_path):
    """The SDK asks for the next one ten seconds before the first one ends."""
    headers = live.headers(live.user_id)
    # A clock behind ours: what it signs ends sooner.
    age = LIFETIME.total_seconds() - 12
    secrets = live.app.settings.secrets
    tokens = RealtimeTokens(secrets, clock=lambda: time.time() - age)
    connection = live.connection(headers)
    principal = live.principal(headers)
    with run_client(tmp_path, connection["url"], encoding) as client:
        before = client.connect(tokens.issue(principal))
        assert before["event"] == "connected"
        client.next("token")
        client.tell("token", token=connection["token"])
        live.emit(live.realtime.personal(live.user_id), "still here")
        client.until("personal", "connecting", "disconnected", data="still here")


def test_a_token_that_has_expired_is_asked_for_anew(live, encoding, tmp_path):
    headers = live.headers(live.user_id)
    old = RealtimeTokens(live.app.settings.secrets, clock=lambda: time.time() - 601)
    connection = live.connection(headers)
    with run_client(tmp_path, connection["url"], encoding) as client:
        client.tell("connect")
        client.next("token")
        client.tell("token", token=old.issue(live.principal(headers)))
        client.next("token")
        client.tell("token", token=connection["token"])
        client.next("connected")


def test_a_token_that_is_none_is_final(live, encoding, tmp_path):
    connection = live.connection(live.headers(live.user_id))
    with run_client(tmp_path, connection["url"], encoding) as client:
        found = client.connect("none")
        assert (found["event"], found["code"]) == ("disconnected", 3500)
