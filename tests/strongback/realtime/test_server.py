"""The server on real sockets: limits, hostile clients, drain, the hand-over."""

from __future__ import annotations

import json
import random
import resource
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import Frame, Opcode
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from strongback.realtime.channel import Grant
from strongback.realtime.message import Identity
from strongback.realtime.options import Options
from strongback.realtime.server import RealtimeServer, Snapshot
from tests.support.broker_contract import eventually
from tests.support.realtime import Gate, open_server, sign
from tests.support.realtime_client import Client, address, close, closing_code

HANDSHAKE = (
    b"GET /connection/websocket HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n"
    b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
FILES = Path("/proc/self/fd")
OPTIONS = Options(origins=("https://example.com",), rate=10_000, burst=10_000)


@pytest.fixture
def server(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[RealtimeServer]:
    """A server in memory; with the parameter `asyncio` as where uvloop is not installed."""
    if getattr(request, "param", "") == "asyncio":
        monkeypatch.setitem(sys.modules, "uvloop", None)
    server, _ = open_server(options=OPTIONS)
    yield server
    server.stop()


@pytest.fixture
def url(server: RealtimeServer) -> str:
    """Its address, by another listener than the first."""
    return address(server.listen("127.0.0.1", 0))


@pytest.fixture
def bystander(url) -> Iterator[Client]:
    """A client that nothing may happen to."""
    client = Client(url, "1")
    client.ask("subscribe", channel="plain:bystander")
    yield client
    assert client.ask("history", channel="#1")["epoch"]
    close(client)


def port_of(url: str) -> int:
    return int(url.split(":")[2].partition("/")[0])


class TestHandshake:
    @pytest.mark.parametrize(
        "origin, is_welcome",
        [
            (None, True),
            ("https://example.com", True),
            ("https://evil.example.com", False),
            ("null", False),
            ("http://[", False),
        ],
    )
    def test_only_known_origins_are_let_in(self, url, origin, is_welcome) -> None:
        headers = {} if origin is None else {"Origin": origin}
        if is_welcome:
            with connect(url, additional_headers=headers):
                return
        with pytest.raises(InvalidStatus) as caught, connect(url, additional_headers=headers):
            pass
        assert caught.value.response.status_code == 403

    def test_pages_of_the_same_host_are_let_in(self, url) -> None:
        origin = url.replace("ws://", "http://").removesuffix("/connection/websocket")
        with connect(url, additional_headers={"Origin": origin}):
            pass

    @pytest.mark.parametrize(
        "offered, query, chosen, kind",
        [
            (None, "", None, str),
            (["centrifuge-json"], "", "centrifuge-json", str),
            (["other"], "", None, str),
            (["centrifuge-protobuf"], "", "centrifuge-protobuf", bytes),
            (None, "?format=protobuf", None, bytes),
            (None, "?cf_protocol=protobuf", None, bytes),
        ],
    )
    def test_the_encoding_is_chosen_by_the_client(self, url, offered, query, chosen, kind) -> None:
        subprotocols = offered and [Subprotocol(each) for each in offered]
        with connect(url + query, subprotocols=subprotocols) as client:
            assert client.subprotocol == chosen
            token = sign({"sub": "7", "exp": 0})
            command: str | bytes = json.dumps({"id": 1, "connect": {"token": token}})
            if kind is bytes:
                part = b"\x0a" + bytes([len(token)]) + token.encode()
                part = b"\x08\x01\x22" + bytes([len(part)]) + part
                command = bytes([len(part)]) + part
            client.send(command)
            assert isinstance(client.recv(timeout=20), kind)

    def test_another_path_is_not_found(self, url) -> None:
        with pytest.raises(InvalidStatus) as caught, connect(url + "x"):
            pass
        assert caught.value.response.status_code == 404

    def test_what_is_no_handshake_is_refused(self, url) -> None:
        port = port_of(url)
        for text in (HANDSHAKE.replace(b"Upgrade", b"X"), b"\x16\x03\x01\r\n", b"GET\r\n\r\n"):
            with socket.create_connection(("127.0.0.1", port)) as raw:
                raw.sendall(text)
                assert b"101" not in raw.recv(100)

    def test_as_many_files_may_be_open_as_the_system_allows(self, server) -> None:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        assert soft == hard


class TestLimits:
    @pytest.mark.parametrize(
        "message, code",
        [
            ("x" * (64 * 1024 + 1), 1009),
            ("x" * (64 * 1024), 3501),
            ("[", 3501),
            ('{"id": 1, "unknown": {}}', 3501),
            ('{"id": 1, "subscribe": {"channel": "a"}}', 3501),
            (b"\xff\xff\xff\xff\xff\xff", 3501),
        ],
        ids=["too long", "no json", "broken json", "unknown", "before connect", "binary"],
    )
    def test_a_bad_message_ends_its_connection_alone(self, url, bystander, message, code) -> None:
        with connect(url, compression=None) as client:
            client.send(message)
            assert closing_code(client) == code

    def test_a_message_in_fragments_is_one_message(self, url) -> None:
        text = json.dumps({"id": 1, "connect": {"token": sign({"sub": "7"})}})
        with connect(url) as client:
            client.send([text[:10], text[10:20], text[20:]])
            assert json.loads(client.recv(timeout=20))["id"] == 1

    def test_invalid_utf8_is_told(self, url, bystander) -> None:
        with connect(url) as client:
            client.send(b"\xff", text=True)
            assert closing_code(client) == 1007

    def test_who_does_not_connect_is_closed(self) -> None:
        server, port = open_server(options=Options(connect_seconds=0.3))
        try:
            with connect(address(port)) as client:
                assert closing_code(client) == 3502
            with socket.create_connection(("127.0.0.1", port)) as raw:
                assert raw.recv(1) == b""
        finally:
            server.stop()

    def test_hostile_frames_disturb_nobody(self, server, url, bystander, caplog, is_long) -> None:
        seed = random.Random(1)
        token = sign({"sub": "7"})
        valid = json.dumps({"id": 1, "connect": {"token": token}}).encode()
        seen = set()
        for number in range(300 if is_long else 100):
            protocol = Subprotocol(seed.choice(["centrifuge-json", "centrifuge-protobuf"]))
            with connect(url, compression=None, subprotocols=[protocol]) as client:
                with suppress(ConnectionClosed):
                    if number % 3 == 0 and protocol == "centrifuge-json":
                        client.send(valid.decode())
                    for _ in range(34):
                        client.send(_hostile(seed, valid), text=seed.random() < 0.5)
                seen.add(closing_code(client))

        assert seen <= {1007, 3501, 3500, 3013, 3508}
        assert "Traceback" not in caplog.text
        assert eventually(lambda: server.snapshot().connections == 1)


def _hostile(seed: random.Random, valid: bytes) -> bytes:
    """Some bytes, or a valid command with some bytes replaced."""
    if seed.random() < 0.3:
        return seed.randbytes(seed.randrange(1, 60))
    changed = bytearray(valid)
    for _ in range(seed.randrange(1, 4)):
        changed[seed.randrange(len(changed))] = seed.randrange(256)
    return bytes(changed)


def raw_client(url: str, user: str, *channels: str) -> socket.socket:
    """Return a socket that has sent the handshake and its commands; nothing reads from it."""
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.connect(("127.0.0.1", port_of(url)))
    commands = [{"id": 1, "connect": {"token": sign({"sub": user})}}]
    commands += [{"id": 2, "subscribe": {"channel": each}} for each in channels]
    text = "\n".join(map(json.dumps, commands)).encode()
    raw.sendall(HANDSHAKE + Frame(Opcode.TEXT, text).serialize(mask=True))
    return raw


@pytest.mark.parametrize("server", ["uvloop", "asyncio"], indirect=True)
class TestSlowReader:
    def test_one_that_does_not_answer_the_end_is_cut(self, server, url) -> None:
        with raw_client(url, "2"):
            assert eventually(lambda: server.snapshot().users == 1)
            start = time.monotonic()
            server.stop()
            assert time.monotonic() - start < 10
            assert not server.connections

    def test_who_does_not_read_is_cut_and_delays_nobody(self, server, url, bystander) -> None:
        bystander.ask("subscribe", channel="plain:flood")
        data = json.dumps("x" * 16_000).encode()
        with raw_client(url, "2", "plain:flood"):
            assert eventually(lambda: server.snapshot().subscriptions == 5)
            for _ in range(1000):
                server.environment.broker.publish(["plain:flood"], data)
                assert bystander.receive()["push"]["pub"]["data"] == "x" * 16_000
                if server.snapshot().connections == 1:
                    break

            assert server.snapshot().closed == {3008: 1}
            assert server.snapshot().connections == 1


class TestAuthorizer:
    def test_a_slow_one_delays_its_client_alone(self, slow_server) -> None:
        _, url, gate = slow_server
        slow, other = Client(url, "2"), Client(url, "3")
        slow.send({"id": 9, "subscribe": {"channel": "plain:slow"}})
        assert gate.is_asked.wait(20)

        other.ask("subscribe", channel="plain:quick")
        slow.send({"id": 10, "rpc": {}})
        assert slow.receive()["error"]["code"] == 100, "after its time"
        assert slow.receive()["id"] == 10, "one command after the other"
        gate.goes_on.set()
        close(slow, other)

    def test_one_that_fails_gets_an_error(self, slow_server, caplog) -> None:
        _, url, _ = slow_server
        client = Client(url)
        error = client.ask("subscribe", channel="plain:broken")["error"]
        assert error == {"code": 100, "message": "internal server error", "temporary": True}
        client.ask("subscribe", channel="plain:quick")
        close(client)

    def test_a_response_that_cannot_be_written_ends_the_connection_alone(self, slow_server) -> None:
        _, url, _ = slow_server
        client, other = Client(url, "1"), Client(url, "2")
        client.send({"id": 9, "subscribe": {"channel": "plain:odd"}})
        assert client.code() == 3004
        other.ask("subscribe", channel="plain:quick")
        close(other)

    def test_a_client_that_goes_meanwhile_leaves_nothing(self, slow_server) -> None:
        server, url, gate = slow_server
        client = Client(url)
        client.send({"id": 9, "subscribe": {"channel": "plain:slow"}})
        assert gate.is_asked.wait(20)
        close(client)
        gate.goes_on.set()
        assert eventually(lambda: server.snapshot().channels == 0)


class SlowGate(Gate):
    """Waits at `plain:slow` until it is told, breaks at `plain:broken`, and errs at `plain:odd`."""

    def __init__(self) -> None:
        super().__init__(time.time)
        self.is_asked, self.goes_on = threading.Event(), threading.Event()

    def authorize(self, identity: Identity, channel: str, token: str) -> Grant | None:
        """Wait, break, or decide."""
        if channel == "plain:slow":
            self.is_asked.set()
            self.goes_on.wait(20)
        if channel == "plain:broken":
            raise ZeroDivisionError
        if channel == "plain:odd":
            return Grant(data=object())
        return super().authorize(identity, channel, token)


@pytest.fixture
def slow_server() -> Iterator[tuple[RealtimeServer, str, SlowGate]]:
    """A server whose application is slow."""
    gate = SlowGate()
    server, port = open_server(options=Options(authorize_seconds=0.3), gate=gate)
    yield server, address(port), gate
    gate.goes_on.set()
    server.stop()


class TestEnds:
    def test_revoked_sessions_are_closed(self, server, url, bystander) -> None:
        one, other = Client(url, sid="a"), Client(url, sid="b")
        server.environment.broker.disconnect(42, "a")
        assert one.code() == 3503
        other.ask("history", channel="#42")
        server.environment.broker.disconnect(42)
        assert other.code() == 3503

    def test_a_connection_ends_with_its_token(self, url) -> None:
        assert Client(url, exp=time.time() + 1).code() == 3005

    def test_a_refreshed_connection_stays(self, url) -> None:
        client = Client(url, exp=time.time() + 1)
        token = sign({"sub": "42", "exp": time.time() + 100})
        refreshed = client.ask("refresh", token=token)
        assert refreshed["client"] == client.connected["client"]
        assert refreshed["ttl"] in (88, 89, 90)
        close(client)

    def test_pings_keep_a_connection_that_answers(self) -> None:
        options = Options(ping_seconds=0.5, pong_seconds=0.4)
        server, port = open_server(options=options)
        try:
            client = Client(address(port))
            for _ in range(3):
                assert client.receive() == {}
                client.send({})
            assert client.receive() == {}
            assert client.code() == 3012
        finally:
            server.stop()

    @pytest.mark.parametrize("server", ["uvloop", "asyncio"], indirect=True)
    def test_a_drained_server_tells_everybody_and_lets_nobody_in(self, server, url) -> None:
        clients = [Client(url, str(number)) for number in range(1, 20)]
        server.drain()
        assert {client.code() for client in clients} == {3001}
        with pytest.raises(OSError, match="refused"), connect(url):
            pass

    def test_stopping_leaves_no_thread_and_no_file(self) -> None:
        files = len(list(FILES.iterdir()))
        server, port = open_server()
        clients = [Client(address(port)) for _ in range(3)]
        server.stop()
        server.stop()
        assert [client.code() for client in clients] == [3001] * 3
        close(*clients)
        assert eventually(lambda: len(list(FILES.iterdir())) <= files)
        assert eventually(lambda: not [each for each in threading.enumerate() if _is_ours(each)])


def _is_ours(thread: threading.Thread) -> bool:
    return thread.name.startswith("realtime")


class TestHandOver:
    def test_a_connection_of_another_server_is_served(self, server, url) -> None:
        """As a WSGI server hands it over: head read already, first frames not."""
        listener = socket.create_server(("127.0.0.1", 0))

        def accept() -> None:
            accepted, _ = listener.accept()
            server.adopt(accepted, accepted.recv(65536))

        with listener:
            thread = threading.Thread(target=accept)
            thread.start()
            client = Client(address(listener.getsockname()[1]))
            thread.join()
        client.ask("subscribe", channel="plain:1")
        server.environment.broker.publish(["plain:1"], b'"hello"')
        assert client.receive()["push"]["pub"]["data"] == "hello"
        close(client)

    def test_a_drained_server_takes_no_more(self, server) -> None:
        server.drain()
        ours, theirs = socket.socketpair()
        with theirs:
            server.adopt(ours, b"GET / HTTP/1.1\r\n\r\n")
            assert theirs.recv(1) == b""


def test_the_numbers_of_a_server(server, url) -> None:
    clients = [Client(url, str(number)) for number in (1, 1, 2)]
    for client in clients:
        client.ask("subscribe", channel="plain:1")
    server.environment.broker.publish(["plain:1"], b"1")
    for client in clients:
        client.receive()

    assert server.snapshot() == Snapshot(
        connections=3,
        users=2,
        channels=3,
        subscriptions=6,
        is_listening=True,
        received=1,
        sent=7,  # four that tell who has joined a personal channel
        closed={},
    )
    close(*clients)
    assert eventually(lambda: server.snapshot().users == 0)
    assert server.snapshot().channels == 0
