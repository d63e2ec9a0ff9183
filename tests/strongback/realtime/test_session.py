"""The state machine of a connection: one command, one response, or the documented close."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from strongback.realtime.channel import ChannelRegistry, Channels, Grant, History
from strongback.realtime.codec import JSON
from strongback.realtime.hub import Hub
from strongback.realtime.local_broker import LocalBroker
from strongback.realtime.message import (
    INVALID_TOKEN,
    TOKEN_EXPIRED,
    ClientInfo,
    Close,
    Disconnected,
    Identity,
    Publication,
    Refused,
)
from strongback.realtime.options import Options
from strongback.realtime.session import Session
from strongback.realtime.subscription import Environment
from strongback.realtime.users import Users
from tests.strongback.realtime.test_codec import payload

MINUTES = timedelta(minutes=5)


def authenticate(token: str) -> Identity:
    """Read tokens such as `7`, `7 until 30`, `old` and `wrong`."""
    if token == "old":
        raise Refused(TOKEN_EXPIRED)
    user, _, end = token.partition(" until ")
    if not user.isdecimal():
        raise Disconnected(INVALID_TOKEN)
    channels = (f"user:#{user}",)
    return Identity(int(user), "session", float(end) if end else None, {"name": user}, channels)


def authorize(_identity: Identity, channel: str, token: str) -> Grant | None:
    """Let everybody into everything but `article:secret`."""
    if channel == "article:secret":
        return None
    return Grant({"in": channel}, {"state": 1}, float(token) if token else None)


class Server:
    """A hub, a broker, and a clock that the test moves."""

    def __init__(self) -> None:
        registry = ChannelRegistry()
        registry.add(
            Channels("article", history=History(3, MINUTES), presence=True, join_leave=True)
        )
        registry.add(Channels("open", history=History(100, MINUTES), publish=True))
        registry.add(Channels("plain"))
        self.now = 0.0
        self.broker = LocalBroker(registry)
        self.hub = Hub(self.broker, self.later)
        self.broker.listen(self)
        self.users = Users()
        self.environment = Environment(
            self.hub,
            self.users,
            self.broker,
            registry,
            authenticate,
            authorize,
            Options(burst=20, rate=10, channels=4, connections_per_user=2),
            lambda: self.now,
            lambda: self.now,
        )
        self.news: list[Callable[[], None]] = []

    def later(self, function: Callable[[], Any], then: Callable[[Any], None] | None = None) -> None:
        """Call the broker at once: it is in this process."""
        result = function()
        if then is not None:
            then(result)

    def receive_publication(self, channel: str, publication: Publication, epoch: str) -> None:
        self.news.append(lambda: self.hub.receive_publication(channel, publication, epoch))

    def receive_presence(self, channel: str, info: ClientInfo, *, has_joined: bool) -> None:
        self.news.append(lambda: self.hub.receive_presence(channel, info, has_joined=has_joined))

    def receive_disconnect(self, user_id: int, session_id: str, close: Close) -> None:
        self.news.append(lambda: self.users.end(user_id, session_id, close))

    def receive_gap(self) -> None:
        self.news.append(self.hub.receive_gap)

    def run(self) -> None:
        """Let the broker's messages arrive."""
        news, self.news = self.news, []
        for each in news:
            each()

    def publish(self, channel: str, value: object) -> None:
        """Publish as the application does."""
        self.broker.publish([channel], json.dumps(value).encode())
        self.run()

    def client(self, token: str = "7") -> Client:
        """Return a client that has connected."""
        client = Client(self)
        client.ask("connect", token=token)
        return client


class Client:
    """A connection of a client."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.frames: list[dict[str, Any]] = []
        self.closed: Close | None = None
        self.session = Session(server.environment, JSON, self)
        self.number = 0

    def write(self, frame: bytes) -> None:
        assert self.closed is None
        self.frames.append(json.loads(payload(frame)))

    def close(self, close: Close) -> None:
        self.closed = close

    def room(self) -> int:
        return 100

    def send(self, *messages: object) -> list[dict[str, Any]]:
        """Send a message of some lines, and return what comes back."""
        lines = [line if isinstance(line, str) else json.dumps(line) for line in messages]
        before = len(self.frames)
        steps = self.session.receive("\n".join(lines).encode())
        value = None
        while True:
            try:
                call = steps.send(value)
            except StopIteration:
                break
            try:
                value = call.function()
            except (Refused, Disconnected) as error:
                with pytest.raises(StopIteration):
                    steps.throw(error)
                break
        self.server.run()
        return self.frames[before:]

    def ask(self, method: str, /, **params: object) -> dict[str, Any]:
        """Send a command, and return its result."""
        self.number += 1
        replies = self.send({"id": self.number, method: params})
        assert self.closed is None
        (reply,) = [each for each in replies if each.get("id") == self.number]
        found: dict[str, Any] = reply[method]
        return found

    def error(self, method: str, /, **params: object) -> int:
        """Send a command, and return the code of its error."""
        self.number += 1
        (reply,) = self.send({"id": self.number, method: params})
        assert set(reply["error"]) >= {"code", "message"}
        code: int = reply["error"]["code"]
        return code

    def pushes(self) -> list[dict[str, Any]]:
        """What was pushed, without the channel."""
        return [each["push"] for each in self.frames if "push" in each]

    def tick(self, seconds: float) -> None:
        """Let time go by."""
        self.server.now += seconds
        assert self.session.due <= self.server.now
        self.session.tick()
        self.server.run()


@pytest.fixture
def server() -> Server:
    return Server()


def test_connecting_tells_the_client_what_it_needs(server) -> None:
    result = Client(server).ask("connect", token="7 until 40")
    epoch = result["subs"]["user:#7"]["epoch"]

    assert result.pop("client")
    assert result.pop("version").startswith("strongback ")
    position = {"recoverable": True, "positioned": True, "epoch": epoch, "offset": 0}
    assert result == {
        "expires": True,
        "ttl": 30,
        "subs": {"user:#7": position},
        "ping": 25,
        "pong": True,
    }


def test_connect_and_subscribe_in_one_message(server) -> None:
    replies = Client(server).send(
        {"id": 1, "connect": {"token": "7"}},
        {"id": 2, "subscribe": {"channel": "plain:1"}},
        {"id": 3, "subscribe": {"channel": "article:1"}},
    )

    assert [each.get("id") for each in replies] == [1, 2, 3, None]
    assert replies[1]["subscribe"] == {"data": {"state": 1}}
    assert "join" in replies[3]["push"], "of oneself, after the response"


def test_after_a_connect_that_fails_the_rest_is_ignored(server) -> None:
    client = Client(server)
    replies = client.send(
        {"id": 1, "connect": {"token": "old"}}, {"id": 2, "subscribe": {"channel": "plain:1"}}
    )

    expected = {"id": 1, "error": {"code": 109, "message": "token expired"}}
    assert replies == [expected]
    assert client.closed is None
    assert not server.hub.channels
    assert not len(server.users)


@pytest.mark.parametrize(
    "message, code",
    [
        ({"id": 1, "connect": {"token": "wrong"}}, 3500),
        ({"id": 1, "connect": {}}, 3501),
        ({"id": 1, "subscribe": {"channel": "plain:1"}}, 3501),
        ({"id": 1, "unknown": {}}, 3501),
        ({"id": 1}, 3501),
        ({"connect": {"token": "7"}}, 3501),
        ({}, 3501),
        ({"send": {"data": 1}}, 3501),
        ("[", 3501),
        ("{}{}", 3501),
    ],
)
def test_what_does_not_begin_with_connect_is_closed(server, message, code) -> None:
    client = Client(server)
    client.send(message)
    assert client.closed is not None
    assert client.closed.code == code


@pytest.mark.parametrize(
    "message, code",
    [
        ({"id": 2, "connect": {"token": "7"}}, 3501),
        ({"id": 2, "unknown": {}}, 3501),
        ({"id": 0, "history": {"channel": "article:1"}}, 3501),
        ({}, 3501),
        ("", 3501),
        (" \n\n", 3501),
        ({"send": {"data": 1}}, 3508),
        ({"id": 2, "refresh": {"token": "8"}}, 3500),
        ({"id": 2, "refresh": {"token": "wrong"}}, 3500),
        ({"id": 2, "refresh": {}}, 3501),
    ],
)
def test_what_breaks_the_protocol_later_is_closed(server, message, code) -> None:
    client = server.client()
    client.send(message)
    assert client.closed is not None
    assert client.closed.code == code
    assert not server.hub.channels
    assert not len(server.users)


@pytest.mark.parametrize(
    "method, params, code",
    [
        ("subscribe", {"channel": "unknown:1"}, 102),
        ("subscribe", {"channel": "article"}, 102),
        ("subscribe", {"channel": "article:ü"}, 102),
        ("subscribe", {}, 102),
        ("subscribe", {"channel": "article:secret"}, 103),
        ("subscribe", {"channel": "user:#7"}, 105),
        ("publish", {"channel": "article:1", "data": 1}, 103),
        ("publish", {"channel": "user:#7", "data": 1}, 103),
        ("presence", {"channel": "article:1"}, 103),
        ("presence", {"channel": "user:#7"}, 108),
        ("presence_stats", {"channel": "user:#7"}, 108),
        ("history", {"channel": "article:1"}, 103),
        ("sub_refresh", {"channel": "article:1"}, 103),
        ("rpc", {"method": "a"}, 108),
        ("refresh", {"token": "old"}, 109),
    ],
)
def test_a_refusal_has_its_code(server, method, params, code) -> None:
    client = server.client()
    assert client.error(method, **params) == code
    assert client.closed is None


def test_a_channel_without_history_has_none(server) -> None:
    client = server.client()
    client.ask("subscribe", channel="plain:1")
    assert client.error("history", channel="plain:1") == 108


def test_there_are_only_so_many_channels(server) -> None:
    client = server.client()
    for number in range(3):
        client.ask("subscribe", channel=f"plain:{number}")
    assert client.error("subscribe", channel="plain:4") == 106
    client.ask("unsubscribe", channel="plain:1")
    client.ask("subscribe", channel="plain:4")


def test_a_user_has_only_so_many_connections(server) -> None:
    first, _, third = server.client(), server.client(), Client(server)
    third.send({"id": 1, "connect": {"token": "7"}})
    assert third.closed is not None
    assert third.closed.code == 3504

    server.client("8")
    first.session.forget()
    server.client("7")


def test_publications_are_delivered_with_their_offset(server) -> None:
    client = server.client()
    client.ask("subscribe", channel="article:1")
    client.ask("subscribe", channel="plain:1")
    server.publish("article:1", {"a": "é"})
    server.publish("plain:1", [])
    server.publish("plain:2", [])

    assert client.pushes()[-2:] == [
        {"channel": "article:1", "pub": {"data": {"a": "é"}, "offset": 1}},
        {"channel": "plain:1", "pub": {"data": []}},
    ]


def test_a_subscriber_publishes_where_it_may(server) -> None:
    client = server.client()
    client.ask("subscribe", channel="open:1")
    assert client.ask("publish", channel="open:1", data={"a": 1}) == {}
    assert client.error("publish", channel="open:1") == 107

    pub = client.pushes()[-1]["pub"]
    assert pub["info"]["user"] == "7"
    assert (pub["data"], pub["offset"]) == ({"a": 1}, 1)


def test_missed_publications_are_in_the_response(server) -> None:
    top = server.client().ask("subscribe", channel="article:1")
    for number in range(3):
        server.publish("article:1", number)

    recover = {"recover": True, "epoch": top["epoch"], "offset": 1}
    result = server.client("8").ask("subscribe", channel="article:1", **recover)

    assert result == {
        "recoverable": True,
        "positioned": True,
        "epoch": top["epoch"],
        "offset": 1,
        "was_recovering": True,
        "recovered": True,
        "publications": [{"data": 1, "offset": 2}, {"data": 2, "offset": 3}],
        "data": {"state": 1},
    }


@pytest.mark.parametrize(
    "request_", [{"epoch": "other", "offset": 3}, {"offset": 0}, {"offset": 9}], ids=str
)
def test_what_cannot_be_recovered_is_said(server, request_) -> None:
    top = server.client().ask("subscribe", channel="article:1")
    for number in range(4):  # the first is no longer kept
        server.publish("article:1", number)
    request_ = {"recover": True, "epoch": top["epoch"], **request_}

    client = server.client("8")
    assert client.error("subscribe", channel="article:1", flag=2, **request_) == 112
    result = client.ask("subscribe", channel="article:1", **request_)

    assert result["was_recovering"] is True
    assert result["offset"] == 4
    assert not {"recovered", "publications"} & set(result)


def test_a_recovery_that_does_not_fit_is_not_made(server) -> None:
    top = server.client().ask("subscribe", channel="article:1")
    for _ in range(3):
        server.publish("article:1", "x" * 50)  # the client has room for 100

    recover = {"recover": True, "epoch": top["epoch"]}
    client = server.client("8")
    assert "recovered" not in client.ask("subscribe", channel="article:1", offset=0, **recover)
    client.ask("unsubscribe", channel="article:1")
    assert client.ask("subscribe", channel="article:1", offset=2, **recover)["recovered"]


def test_the_personal_channel_is_recovered_at_connect(server) -> None:
    epoch = server.client().ask("history", channel="user:#7")["epoch"]
    server.publish("user:#7", "a")

    subs = {"user:#7": {"recover": True, "epoch": epoch, "offset": 0}}
    result = Client(server).ask("connect", token="7", subs=subs)

    assert result["subs"]["user:#7"]["recovered"] is True
    assert result["subs"]["user:#7"]["publications"] == [{"data": "a", "offset": 1}]


def test_with_the_stream_gone_the_client_subscribes_again(server) -> None:
    client = server.client()
    client.ask("subscribe", channel="open:1")
    server.broker.renew_epoch("open:1", server.broker.history("open:1", 0).top.epoch)
    server.hub.receive_gap()

    expected = {"code": 2500, "reason": "insufficient state"}
    assert client.pushes() == [{"channel": "open:1", "unsubscribe": expected}]
    client.ask("subscribe", channel="open:1")


def test_with_the_stream_of_the_personal_channel_gone_it_connects_again(server) -> None:
    client = server.client()
    server.broker.renew_epoch("user:#7", server.broker.history("user:#7", 0).top.epoch)
    server.publish("user:#7", 1)

    assert client.closed is not None
    assert client.closed.code == 3010, "an SDK does not subscribe to it by itself"
    assert not server.hub.channels


def test_history_is_read_in_pages(server) -> None:
    client = server.client()
    epoch = client.ask("subscribe", channel="article:1")["epoch"]
    for number in range(3):
        server.publish("article:1", number)

    def offsets(**params: object) -> list[int]:
        result = client.ask("history", channel="article:1", **params)
        assert (result["epoch"], result["offset"]) == (epoch, 3)
        return [each["offset"] for each in result["publications"]]

    assert offsets() == []
    assert offsets(limit=-1) == [1, 2, 3]
    assert offsets(limit=2, since={"epoch": epoch, "offset": 1}) == [2, 3]
    assert offsets(limit=2, since={"epoch": "", "offset": 0}) == [1, 2]
    assert offsets(limit=2, since={"offset": 0}, reverse=True) == []
    assert offsets(limit=2, reverse=True) == [3, 2]
    other = {"epoch": "other", "offset": 1}
    assert client.error("history", channel="article:1", limit=2, since=other) == 112


def test_a_history_that_does_not_fit_is_read_in_more_pages(server) -> None:
    client = server.client()
    epoch = client.ask("subscribe", channel="article:1")["epoch"]
    for _ in range(3):
        server.publish("article:1", "x" * 60)  # the client has room for 100

    for offset in range(3):
        since = {"epoch": epoch, "offset": offset}
        page = client.ask("history", channel="article:1", limit=-1, since=since)["publications"]
        assert [each["offset"] for each in page] == [offset + 1]


def test_subscribers_see_each_other(server) -> None:
    first, second = server.client("7"), server.client("8")
    first.ask("subscribe", channel="article:1")
    second.ask("subscribe", channel="article:1")

    present = first.ask("presence", channel="article:1")["presence"]
    assert {info["user"] for info in present.values()} == {"7", "8"}
    one = next(info for info in present.values() if info["user"] == "8")
    assert one["conn_info"] == {"name": "8"}
    assert one["chan_info"] == {"in": "article:1"}
    stats = first.ask("presence_stats", channel="article:1")
    assert stats == {"num_clients": 2, "num_users": 2}

    second.session.forget()
    server.run()
    kinds = [next(iter(set(push) - {"channel"})) for push in first.pushes()]
    assert kinds == ["join", "join", "leave"]
    assert list(first.ask("presence", channel="article:1")["presence"].values()) == [
        info for info in present.values() if info["user"] == "7"
    ]


def test_a_ping_is_answered_or_the_connection_ends(server) -> None:
    client = server.client()
    client.tick(25)
    assert client.frames[-1] == {}
    client.send({})
    client.tick(25)
    assert client.frames[-1] == {}
    client.tick(8)
    assert client.closed is not None
    assert client.closed.code == 3012


def test_a_client_that_does_not_connect_is_stale(server) -> None:
    client = Client(server)
    client.tick(5)
    assert client.closed is not None
    assert client.closed.code == 3502


def test_a_connection_ends_with_its_token(server) -> None:
    client = server.client("7 until 20")
    result = client.ask("refresh", token="7 until 24")
    assert (result["expires"], result["ttl"]) == (True, 14)
    assert result["client"]
    client.tick(24)
    assert client.closed is not None
    assert client.closed.code == 3005


def test_a_subscription_ends_with_its_token(server) -> None:
    client = server.client()
    assert client.ask("subscribe", channel="plain:1", token="15")["ttl"] == 5
    assert client.ask("sub_refresh", channel="plain:1", token="20") == {"expires": True, "ttl": 10}
    client.tick(20)

    expected = {"code": 2501, "reason": "subscription expired"}
    assert client.pushes()[-1] == {"channel": "plain:1", "unsubscribe": expected}
    assert client.closed is None
    client.ask("subscribe", channel="plain:1")


def test_too_many_commands_end_the_connection(server) -> None:
    client = server.client()
    for _ in range(19):
        client.ask("history", channel="user:#7")
    server.now += 0.5
    for _ in range(5):
        client.ask("history", channel="user:#7")
    client.send({"id": 99, "history": {"channel": "user:#7"}})

    assert client.closed is not None
    assert client.closed.code == 3013


def test_of_a_message_with_too_many_commands_only_the_first_are_carried_out(server) -> None:
    client = server.client()
    lines = [{"id": number, "rpc": {}} for number in range(2, 1000)]
    assert len(client.send(*lines)) == 19
    assert client.closed is not None
    assert client.closed.code == 3013


@pytest.mark.parametrize(
    "user, session, is_closed",
    [(7, "", True), (7, "session", True), (7, "other", False), (8, "", False)],
)
def test_a_user_or_session_is_disconnected(server, user, session, is_closed) -> None:
    client = server.client()
    server.broker.disconnect(user, session)
    server.run()
    assert (client.closed is not None) == is_closed
    if client.closed is not None:
        assert client.closed.code == 3503


def test_who_is_disconnected_while_the_token_is_looked_at_stays_out(server) -> None:
    client = Client(server)
    steps = client.session.receive(b'{"id": 1, "connect": {"token": "7"}}')
    identity = next(steps).function()
    server.broker.disconnect(7, "session")
    server.run()

    with pytest.raises(StopIteration):
        steps.send(identity)

    assert client.closed is not None
    assert client.closed.code == 3503
