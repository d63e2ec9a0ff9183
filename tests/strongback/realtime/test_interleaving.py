"""Session, hub and broker together: whatever happens in whatever order, nothing is lost unnoticed.

The broker is the real one in memory, but its messages and its responses arrive when the test says
so, as with one in another process. The clients do what the official SDKs do.
"""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from strongback.realtime.channel import ChannelRegistry, Channels, Grant, History
from strongback.realtime.codec import JSON
from strongback.realtime.hub import Hub
from strongback.realtime.local_broker import LocalBroker
from strongback.realtime.message import ClientInfo, Close, Identity, Position, Publication
from strongback.realtime.options import Options
from strongback.realtime.recovery import Steps
from strongback.realtime.session import Session
from strongback.realtime.subscription import Environment
from strongback.realtime.users import Users
from tests.strongback.realtime.test_codec import payload

CHANNEL = "kept:1"
KEPT = 3
EXAMPLES = 4000 if "TEST_LONG" in os.environ else 200
CLIENTS = 3


@dataclass
class Client:
    """What an SDK knows, and the server's session for it."""

    world: World
    position: Position | None = None
    session: Session | None = None
    steps: Steps[None] | None = None
    is_subscribed: bool = False
    reloads: int = 0

    def connect(self) -> None:
        """Connect and subscribe, in one message, as the SDKs do."""
        self.session = Session(self.world.environment, JSON, self)
        request: dict[str, Any] = {"channel": CHANNEL}
        if self.position is not None:
            offset, epoch = self.position.offset, self.position.epoch
            request |= {"recover": True, "offset": offset, "epoch": epoch}
        lines = [{"id": 1, "connect": {"token": "1"}}, {"id": 2, "subscribe": request}]
        self.send(*lines)

    def resubscribe(self) -> None:
        """Subscribe again on the same connection."""
        assert self.position is not None
        offset, epoch = self.position.offset, self.position.epoch
        request = {"channel": CHANNEL, "recover": True, "offset": offset, "epoch": epoch}
        self.send({"id": 3, "subscribe": request})

    def send(self, *commands: dict[str, Any]) -> None:
        """Let the session carry out commands; the broker's part of it waits its turn."""
        assert self.session is not None
        self.steps = self.session.receive("\n".join(map(json.dumps, commands)).encode())
        self.go_on(self.steps, None)

    def go_on(self, steps: Steps[None], value: object) -> None:
        """Send a result to the session."""
        while steps is self.steps:
            try:
                call = steps.send(value)
            except StopIteration:
                self.steps = None
                return
            if not call.asks_application:
                self.world.later(call.function, partial(self.go_on, steps))
                return
            value = call.function()

    def cut(self) -> None:
        """Lose the connection."""
        if self.steps is not None:
            self.steps.close()
        if self.session is not None:
            self.session.forget()
        self.session = self.steps = None
        self.is_subscribed = False

    def write(self, frame: bytes) -> None:
        """Take what the server says."""
        reply = json.loads(payload(frame))
        if "subscribe" in reply:
            self._take_subscription(reply["subscribe"])
        push = reply.get("push", {})
        if "pub" in push:
            assert self.is_subscribed, "a publication came before the response to subscribing"
            self._show(push["pub"])
        if "unsubscribe" in push:
            assert push["unsubscribe"]["code"] >= 2500
            self.is_subscribed = False
            self.world.due.append(self)
        assert "error" not in reply, reply

    def close(self, close: Close) -> None:
        raise AssertionError(close)

    def room(self) -> int:
        return 1000

    def _take_subscription(self, result: dict[str, Any]) -> None:
        self.is_subscribed = True
        position = Position(result["epoch"], result["offset"])
        if not result.get("recovered"):
            self.reloads += self.position is not None
            self.position = position
            return
        assert position == self.position, "the offset is the requested one"
        for publication in result["publications"]:
            self._show(publication)

    def _show(self, publication: dict[str, Any]) -> None:
        assert self.position is not None
        epoch, offset = self.position.epoch, publication["offset"]
        assert offset == self.position.offset + 1, "lost or repeated"
        assert publication["data"] == self.world.log[epoch, offset]
        self.position = Position(epoch, offset)


@dataclass
class World:
    """A broker, a server, clients, and what is on the way between them."""

    due: list[Client] = field(default_factory=list)
    """Clients that subscribe again."""
    log: dict[tuple[str, int], int] = field(default_factory=dict)
    published: int = 0

    def __post_init__(self) -> None:
        registry = ChannelRegistry()
        registry.add(Channels("kept", history=History(KEPT, timedelta(minutes=5))))
        self.broker = LocalBroker(registry)
        self.broker.listen(self)
        self.messages: deque[Callable[[], None]] = deque()
        self.calls: deque[tuple[Callable[[], Any], Callable[[Any], None] | None]] = deque()
        self.responses: deque[Callable[[], None]] = deque()
        self.hub = Hub(self.broker, self.later)
        self.environment = Environment(
            self.hub,
            Users(),
            self.broker,
            registry,
            lambda token: Identity(int(token)),
            lambda *_: Grant(),
            Options(burst=10**6, channels=10, connections_per_user=CLIENTS),
            lambda: 0.0,
            lambda: 0.0,
        )
        self.clients = [Client(self) for _ in range(CLIENTS)]

    def later(self, function: Callable[[], Any], then: Callable[[Any], None] | None = None) -> None:
        """Note a call of the broker."""
        self.calls.append((function, then))

    def receive_publication(self, channel: str, publication: Publication, epoch: str) -> None:
        """Note a message that is on the way."""
        self.log[epoch, publication.offset] = json.loads(publication.data)
        self.messages.append(partial(self.hub.receive_publication, channel, publication, epoch))

    def receive_presence(self, channel: str, info: ClientInfo, *, has_joined: bool) -> None:
        raise AssertionError("nobody asked for it")

    def receive_disconnect(self, user_id: int, session_id: str, close: Close) -> None:
        raise AssertionError("nobody asked for it")

    def receive_gap(self) -> None:
        raise AssertionError("nobody asked for it")

    def publish(self) -> None:
        self.published += 1
        self.broker.publish([CHANNEL], json.dumps(self.published).encode())

    def deliver(self) -> None:
        """Let the oldest message arrive."""
        if self.messages:
            self.messages.popleft()()

    def lose(self) -> None:
        """Lose the oldest message, as pub/sub may without notice."""
        if self.messages:
            self.messages.popleft()

    def reconnect(self) -> None:
        """Lose what is on the way; the hub is told that it can have missed something."""
        self.messages.clear()
        self.hub.receive_gap()

    def forget(self) -> None:
        """Lose the stream: a broker that started anew."""
        self.broker.renew_epoch(CHANNEL, self.broker.history(CHANNEL, 0).top.epoch)
        self.reconnect()

    def ask(self) -> None:
        """Let the broker carry out the oldest call."""
        if self.calls:
            function, then = self.calls.popleft()
            result = function()
            if then is not None:
                self.responses.append(partial(then, result))

    def respond(self) -> None:
        """Let the oldest response arrive."""
        if self.responses:
            self.responses.popleft()()
        for client in self.due:
            if client.session is not None and not client.is_subscribed and client.steps is None:
                client.resubscribe()
        self.due = [client for client in self.due if client.steps is not None and client.session]

    def retry(self) -> None:
        """Let the server look after what it could not do before."""
        self.hub.retry()

    def toggle(self, number: int) -> None:
        """Connect a client, or cut it off."""
        client = self.clients[number]
        if client.session is None:
            client.connect()
        else:
            client.cut()

    def settle(self) -> None:
        """Let everything arrive."""
        for _ in range(1000):
            self.retry()
            if not (self.messages or self.calls or self.responses or self.due):
                return
            for action in (self.deliver, self.ask, self.respond):
                action()
        raise AssertionError("it does not come to rest")


STEPS = ["publish", "deliver", "ask", "respond", "toggle 0", "toggle 1", "toggle 2"]
TROUBLES = ["lose", "reconnect", "forget", "retry"]


def play(steps: list[str]) -> World:
    """Do what the steps say."""
    world = World()
    for step in steps:
        name, *numbers = step.split()
        getattr(world, name)(*map(int, numbers))
    return world


@given(steps=st.lists(st.sampled_from([*STEPS, *STEPS, *TROUBLES]), max_size=60))
@settings(max_examples=EXAMPLES, deadline=None)
@example(steps=["toggle 0", "ask", "publish", "publish", "respond", "deliver", "deliver"])
@example(steps=["toggle 0", "ask", "respond", "publish", "lose", "publish", "deliver", "toggle 1"])
@example(steps=["toggle 0", "ask", "publish"])
@example(steps=["reconnect", "ask", "toggle 0", "ask", "publish"])
def test_every_client_sees_the_log_of_the_channel(is_long, steps) -> None:
    world = play(steps)

    world.reconnect()
    for client in world.clients:
        if client.session is None:
            client.connect()
    world.settle()

    top = world.broker.history(CHANNEL, 0).top
    assert [client.position for client in world.clients] == [top] * CLIENTS


@given(steps=st.lists(st.sampled_from(STEPS), max_size=40))
@settings(max_examples=EXAMPLES // 2, deadline=None)
def test_nothing_is_reloaded_while_the_history_suffices(is_long, steps) -> None:
    world = play([step for step in steps if step != "publish" or steps.count(step) <= KEPT])

    world.reconnect()
    world.settle()

    assert [client.reloads for client in world.clients] == [0] * CLIENTS


def test_a_broker_with_an_older_state_is_noticed() -> None:
    world = play(["toggle 0", "ask", "respond", *["publish", "deliver"] * 5])
    (log,) = world.broker._logs.values()
    log.offset = 2
    log.publications.clear()
    world.publish()  # has the number of one that the client has seen

    world.reconnect()
    world.settle()

    client = world.clients[0]
    assert client.reloads == 1
    assert client.position == world.broker.history(CHANNEL, 0).top
    world.publish()
    world.settle()
    assert client.position == world.broker.history(CHANNEL, 0).top
