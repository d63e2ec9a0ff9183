"""The application and its clients together, by the official Python SDK."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from datetime import timedelta
from itertools import count

import pytest
from centrifuge import ClientState
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from app.core.config import Settings
from app.core.permission import Role
from strongback.auth.session_service import SessionService
from strongback.exceptions import ConfigurationError
from strongback.realtime import Channels, Grant, History
from strongback.realtime.part import require_one_process
from strongback.schema import PageQuery
from tests.support.cache import eventually
from tests.support.sdk import Live, Watcher, connected, living, value
from tests.support.thread import run_async

NUMBERS = count(1)


@pytest.fixture(scope="module")
def shared(module_settings: Settings) -> Iterator[Live]:
    """The application of all tests."""
    room = Channels("room", history=History(100, timedelta(minutes=5)), presence=True)

    @room.authorize
    def may_enter(principal, rest):
        return Grant(data={"open": True}) if rest != "closed" else None

    with living(module_settings, room) as shared:
        yield shared


@pytest.fixture
def live(shared: Live) -> Live:
    """The same, with an account of the test's own."""
    return replace(shared, user_id=shared.account(f"carol{next(NUMBERS)}"))


@pytest.mark.parametrize("is_binary", [False, True], ids=["json", "protobuf"])
def test_what_is_emitted_arrives(live, is_binary):
    connection, channel = live.connection(live.headers(live.user_id)), f"room:{live.user_id}"

    async def scenario():
        async with connected(connection, is_binary=is_binary) as (client, watcher):
            room = Watcher()
            subscription = client.new_subscription(channel, events=room)
            await subscription.subscribe()
            assert value((await room.next("subscribed")).data) == {"open": True}
            await asyncio.to_thread(live.emit, channel, {"text": "绿茶"})
            assert value((await room.next("publication")).pub.data) == {"text": "绿茶"}
            await asyncio.to_thread(live.emit, live.realtime.personal(live.user_id), [1])
            await watcher.published([1])
            there = (await subscription.presence()).clients.values()
            assert [value(each.conn_info) for each in there] == [{"username": username(live)}]

    run_async(scenario())


@pytest.mark.parametrize(
    "host, is_welcome", [("localhost", True), ("127.0.0.1", True), ("evil.example.com", False)]
)
def test_pages_on_the_port_of_http_are_let_in(live, host, is_welcome):
    """Whatever name of the host they were opened by, where WebSockets have a port of their own."""
    settings = live.app.settings
    name = host if is_welcome else "127.0.0.1"
    url = f"ws://{name}:{settings.ws_port}/connection/websocket"
    headers = {"Origin": f"http://{host}:{settings.web_port}"}
    refused = nullcontext() if is_welcome else pytest.raises(InvalidStatus, match="403")
    with refused, connect(url, additional_headers=headers):
        pass


def test_what_is_rolled_back_is_not_published(live):
    channel = f"room:{live.user_id}"

    def fail(_):
        live.realtime.emit(channel, "never")
        raise ZeroDivisionError

    with live.app.database.scope(), pytest.raises(ZeroDivisionError):
        live.app.database.transact(fail)
    live.emit(channel, "once")
    assert eventually(lambda: bool(live.realtime.history(channel, 10).publications))
    assert [each.data for each in live.realtime.history(channel, 10).publications] == [b'"once"']


def username(live: Live) -> str:
    return live.principal(live.headers(live.user_id)).username


def revoke(live: Live) -> None:
    live.app.services[SessionService].revoke_all(live.user_id)


def sign_out(live: Live) -> None:
    sessions = live.app.services[SessionService]
    with live.app.database.scope():
        mine = sessions.list(live.user_id, PageQuery())
    sessions.revoke_own(live.user_id, mine.items[0].id)


def disable(live: Live) -> None:
    admin = live.headers(live.account("root", Role.ADMIN))
    path = f"/api/v1/users/{username(live)}"
    response = live.app.test_client().patch(path, headers=admin, json={"disabled": True})
    assert response.status_code == 200, response.get_data(as_text=True)


def replace_password(live: Live) -> None:
    """From another device."""
    response = live.app.test_client().put(
        "/api/v1/users/me/password",
        headers=live.headers(live.user_id),
        json={"new_password": "correct horse battery staple"},
    )
    assert response.status_code == 204, response.get_data(as_text=True)


@pytest.mark.parametrize(
    "end", [revoke, sign_out, disable, replace_password], ids=lambda each: each.__name__
)
def test_a_connection_ends_with_its_session(live, end):
    connection = live.connection(live.headers(live.user_id))

    async def scenario():
        async with connected(connection) as (_, watcher):
            await asyncio.to_thread(_in_scope, live, end)
            assert (await watcher.next("disconnected")).code == 3503

    run_async(scenario())


def _in_scope(live, work):
    with live.app.database.scope():
        work(live)


def test_a_token_whose_session_has_ended_connects_nowhere(live):
    connection = live.connection(live.headers(live.user_id))
    _in_scope(live, revoke)

    async def scenario():
        async with connected(connection, until="disconnected") as (client, _):
            assert client.state is ClientState.DISCONNECTED

    run_async(scenario())


@pytest.mark.parametrize(
    "changes, text",
    [
        ({"web_workers": 2}, "WEB_WORKERS is 2 without REDIS_URL"),
        ({"celery_broker_url": "redis://127.0.0.1"}, "CELERY_BROKER_URL is set without REDIS_URL"),
    ],
)
def test_several_processes_need_a_redis(settings, changes, text):
    with pytest.raises(ConfigurationError, match=text):
        require_one_process(settings.model_copy(update=changes))
    require_one_process(settings.model_copy(update=changes | {"redis_url": "redis://127.0.0.1"}))
