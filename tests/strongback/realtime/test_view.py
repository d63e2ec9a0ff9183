"""Tokens, and the questions of a real Centrifugo."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from app.core.config import Settings
from strongback.auth.session_service import SessionService
from strongback.config import WebServer
from strongback.realtime import Channels, Grant
from strongback.realtime.access import Access
from strongback.realtime.view import KEY_HEADER
from tests.support.sdk import Live, living

API = "/api/v1/realtime"


@pytest.fixture(scope="module")
def live(module_settings: Settings) -> Iterator[Live]:
    room = Channels("room")

    @room.authorize
    def may_enter(principal, rest):
        return Grant(info={"seat": rest}, data=[1]) if rest != "closed" else None

    # The server does not matter here: no client connects.
    with living(module_settings, room, web_server=WebServer.GUNICORN) as live:
        live.user_id = live.account("carol")
        yield live


@pytest.mark.parametrize(
    "changes, expected",
    [
        (
            {},
            {
                "http://127.0.0.1:8000": "ws://127.0.0.1:8000",
                "https://api.example.org": "wss://api.example.org",
            },
        ),
        (
            {"web_server": WebServer.GRANIAN},
            {
                "http://[::1]:8000": "ws://[::1]:8001",
                "http://localhost": "ws://localhost:8001",
            },
        ),
        (
            {"web_server": WebServer.GRANIAN, "web_proxies": 1},
            {"http://a.example.org": "ws://a.example.org"},
        ),
    ],
)
def test_the_address_is_where_the_client_came_from(settings, changes, expected):
    """Behind a proxy the path is the same; Granian alone has a port of its own."""
    with living(settings, **{"web_server": WebServer.GUNICORN, "ws_port": 8001} | changes) as live:
        client, headers = live.app.test_client(), live.headers(live.account("carol"))
        found = {
            base: client.post(f"{API}/token", headers=headers, base_url=base) for base in expected
        }
    assert {base: response.get_json()["url"] for base, response in found.items()} == {
        base: f"{address}/connection/websocket" for base, address in expected.items()
    }
    assert all("no-store" in each.headers["Cache-Control"] for each in found.values())


def test_a_token_for_one_channel_is_given_to_those_who_may_subscribe(live):
    client, headers = live.app.test_client(), live.headers(live.user_id)

    def ask(channel: str) -> tuple[int, int]:
        response = client.post(f"{API}/subscription", headers=headers, json={"channel": channel})
        return response.status_code, response.get_json().get("error_code", 0)

    assert ask("room:7") == (200, 0)
    assert ask("room:closed") == (403, 14001)
    assert ask("nothing:7") == (404, 14002)
    assert ask("room:a b") == (404, 14002)


class TestProxy:
    """What Centrifugo asks, before a client subscribes."""

    def ask(self, live: Live, channel: str, *, key: str | None = None, **changes: object) -> object:
        access = live.app.services[Access]
        if not hasattr(self, "sid"):
            self.sid = live.principal(live.headers(live.user_id)).session_id
        body = {
            "client": "c",
            "transport": "websocket",
            "protocol": "json",
            "encoding": "json",
            "user": str(live.user_id),
            "channel": channel,
            "meta": {"sid": self.sid},
        }
        headers = {KEY_HEADER: access.tokens.proxy_keys[0] if key is None else key}
        response = live.app.test_client().post(
            f"{API}/centrifugo/subscribe", headers=headers, json=body | changes
        )
        return response.get_json() if response.status_code == 200 else response.status_code

    def test_grants_are_told_as_centrifugo_takes_them(self, live):
        assert self.ask(live, "room:7") == {"result": {"info": {"seat": "7"}, "data": [1]}}
        assert self.ask(live, "room:closed") == {
            "error": {"code": 103, "message": "permission denied"}
        }
        assert self.ask(live, "nothing:7") == {"error": {"code": 102, "message": "unknown channel"}}

    def test_nobody_else_may_ask(self, live):
        assert self.ask(live, "room:7", key="") == 403
        assert self.ask(live, "room:7", key="guessed") == 403

    def test_a_token_that_is_limited_lets_in_nowhere_else(self, live):
        limited = {"sid": "", "scope": ["profile:read"]}
        self.ask(live, "room:7")
        assert "disconnect" in self.ask(live, "room:7", meta=limited | {"sid": self.sid})  # type: ignore[operator]  # a dict

    @pytest.mark.parametrize("changes", [{"user": "8"}, {"user": ""}, {"meta": None}])
    def test_who_has_no_session_is_disconnected(self, live, changes):
        found = self.ask(live, "room:7", **changes)
        assert found == {"disconnect": {"code": 3503, "reason": "force disconnect"}}

    @pytest.mark.parametrize(
        "changes",
        [{"user": "9" * 5000}, {"user": 7}, {"meta": {"sid": 5}}, {"meta": {"scope": [{}]}}],
    )
    def test_another_shape_is_refused(self, live, changes):
        assert self.ask(live, "room:7", **changes) == 422

    def test_so_is_whose_session_has_ended(self, live):
        self.ask(live, "room:7")
        with live.app.database.scope():
            live.app.services[SessionService].revoke_all(live.user_id)
        assert "disconnect" in self.ask(live, "room:7")  # type: ignore[operator]  # a dict
