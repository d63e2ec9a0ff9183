"""The broker `centrifugo`: what it sends, and a real Centrifugo with the printed configuration."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from strongback.auth.principal import Principal
from strongback.realtime import Channels, Grant, History
from strongback.realtime.access import Access
from strongback.realtime.broker import BrokerUnavailable
from strongback.realtime.centrifugo import CentrifugoBroker, CentrifugoRefused
from strongback.realtime.cli import centrifugo_configuration
from strongback.realtime.message import ClientInfo
from strongback.realtime.token import RealtimeTokens
from strongback.testing.port import free_port
from tests.support.broker_contract import BrokerContract, contract_registry, kept
from tests.support.centrifugo import BINARY, KEY, run_centrifugo
from tests.support.nginx import run_server
from tests.support.sdk import Live, Watcher, connected, living, value
from tests.support.thread import run_async

__all__ = ["kept"]


class Recorder:
    """Notes what it is asked, and answers as it is told."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str | None, Any]] = []
        self.answer: tuple[int, Any] = (200, {"result": {}})
        recorder = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                recorder.asked.append((self.path, self.headers["X-API-Key"], body))
                status, answer = recorder.answer
                self.send_response(status)
                self.end_headers()
                self.wfile.write(json.dumps(answer).encode())

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002  its name
                """Say nothing."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    recorder = Recorder()
    thread = threading.Thread(target=recorder.server.serve_forever, args=(0.02,))
    thread.start()
    yield recorder
    recorder.server.shutdown()
    thread.join()
    recorder.server.server_close()


@pytest.fixture
def asking(recorder: Recorder) -> CentrifugoBroker:
    return CentrifugoBroker(f"http://127.0.0.1:{recorder.server.server_port}", KEY)


class TestRequests:
    def test_publications_go_to_all_channels_in_one_call(self, recorder, asking):
        asking.publish(["article:1", "article:2"], b'{"a":1}', idempotency_key="once")
        assert recorder.asked == [
            (
                "/api/broadcast",
                KEY,
                {
                    "channels": ["article:1", "article:2"],
                    "data": {"a": 1},
                    "idempotency_key": "once",
                },
            )
        ]

    @pytest.mark.parametrize("session, code", [("", 3503), ("one", 3011)])
    def test_a_user_is_disconnected_and_others_of_his_come_back(
        self, recorder, asking, session, code
    ):
        """Centrifugo does not know our sessions."""
        asking.disconnect(7, session)
        path, _, body = recorder.asked[0]
        assert (path, body["user"], body["disconnect"]["code"]) == ("/api/disconnect", "7", code)

    @pytest.mark.parametrize(
        "answer, error",
        [
            ((200, {"error": {"code": 100, "message": "internal"}}), BrokerUnavailable),
            ((503, {}), BrokerUnavailable),
            ((401, {}), BrokerUnavailable),
            ((400, {}), CentrifugoRefused),
            ((200, {"error": {"code": 102, "message": "unknown channel"}}), CentrifugoRefused),
            (
                (200, {"result": {"responses": [{"error": {"code": 102, "message": "unknown"}}]}}),
                CentrifugoRefused,
            ),
        ],
    )
    def test_what_may_be_tried_again_is_told_from_what_may_not(
        self, recorder, asking, answer, error
    ):
        recorder.answer = answer
        with pytest.raises(error):
            asking.publish(["article:1"], b"1")

    def test_a_channel_without_history_has_none(self, recorder, asking):
        recorder.answer = (200, {"error": {"code": 108, "message": "not available"}})
        assert asking.history("plain:1", 10).publications == ()
        assert asking.presence("plain:1") == {}

    def test_presence_is_told(self, recorder, asking):
        info = {"client": "c", "user": "7", "conn_info": {"a": 1}}
        recorder.answer = (200, {"result": {"presence": {"c": info}}})
        assert asking.presence("article:1") == {"c": ClientInfo("7", "c", b'{"a":1}', b"")}

    def test_nobody_answers(self):
        with pytest.raises(BrokerUnavailable):
            CentrifugoBroker(f"http://127.0.0.1:{free_port()}", KEY).publish(["article:1"], b"1")


@pytest.fixture
def with_key(settings):
    return settings.model_copy(update={"centrifugo_api_key": type(settings.app_secret_key)(KEY)})


@pytest.fixture
def real(starts_processes: None) -> None:
    if BINARY is None:
        pytest.skip("there is no centrifugo on the PATH, nor CENTRIFUGO_BIN: it was not asked")


class TestRealCentrifugo(BrokerContract):
    @pytest.fixture
    def broker(self, real, with_key, tmp_path) -> Iterator[CentrifugoBroker]:
        tokens = RealtimeTokens(with_key.secrets)
        access = Access(contract_registry(), tokens, pytest.fail, pytest.fail)
        configuration = centrifugo_configuration(with_key, access, "http://127.0.0.1:9/")
        with run_centrifugo(tmp_path, configuration) as url:
            yield CentrifugoBroker(url, KEY)


@pytest.fixture
def moved(real, with_key, tmp_path) -> Iterator[tuple[Live, str]]:
    """An application that a real Centrifugo serves the clients of."""
    room = Channels("room", history=History(100, timedelta(minutes=5)), presence=True)

    @room.authorize
    def may_enter(principal: Principal, rest: str) -> Grant | None:
        return Grant(data={"open": True}) if rest != "closed" else None

    port = free_port()
    changes = {"centrifugo_url": f"http://127.0.0.1:{port}"}
    with living(with_key, room, **changes) as live, run_server(live.app) as web:
        live.user_id = live.account("carol")
        endpoint = f"http://127.0.0.1:{web}/api/v1/realtime/centrifugo/subscribe"
        access = live.app.services[Access]
        configuration = centrifugo_configuration(live.app.settings, access, endpoint)
        with run_centrifugo(tmp_path, configuration, port) as url:
            yield live, f"{url.replace('http', 'ws')}/connection/websocket"


@pytest.mark.parametrize("is_binary", [False, True], ids=["json", "protobuf"])
def test_clients_stay_as_they_are(moved, is_binary):
    live, url = moved
    headers = live.headers(live.user_id)
    connection = live.connection(headers) | {"url": url}

    async def scenario() -> None:
        async with connected(connection, is_binary=is_binary) as (client, watcher):
            room, closed = Watcher(), Watcher()
            subscription = client.new_subscription("room:7", events=room)
            await subscription.subscribe()
            assert value((await room.next("subscribed")).data) == {"open": True}
            await asyncio.to_thread(live.emit, "room:7", {"text": "绿茶"})
            assert value((await room.next("publication")).pub.data) == {"text": "绿茶"}
            await asyncio.to_thread(live.emit, live.realtime.personal(live.user_id), [1])
            await watcher.published([1])
            there = await asyncio.to_thread(live.realtime.presence, "room:7")
            assert [each.user for each in there.values()] == [str(live.user_id)]
            await client.new_subscription("room:closed", events=closed).subscribe()
            assert (await closed.next("error", "unsubscribed")).code == 103
            with live.app.database.scope():
                live.app.database.transact(lambda _: live.realtime.disconnect(live.user_id))
            assert (await watcher.next("disconnected")).code == 3503

    run_async(scenario())


@pytest.mark.parametrize("name", ["room:*", "room:a b", "room:绿", "user:#8", "nothing:1"])
def test_names_that_we_refuse_are_refused(moved, name):
    live, url = moved
    connection = live.connection(live.headers(live.user_id)) | {"url": url}

    async def scenario() -> None:
        async with connected(connection) as (client, _):
            room = Watcher()
            await client.new_subscription(name, events=room).subscribe()
            assert (await room.next("unsubscribed")).code in {102, 103, 107}

    run_async(scenario())
