"""What every broker of realtime does; each is tested by a subclass with a fixture `broker`."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import uuid4

import pytest

from strongback.realtime.broker import Broker, ServerBroker
from strongback.realtime.channel import ChannelRegistry, Channels, History
from strongback.realtime.message import (
    FORCE_DISCONNECT,
    ClientInfo,
    Close,
    Position,
    Publication,
)

MINUTES = timedelta(minutes=5)


def contract_registry() -> ChannelRegistry:
    """The namespaces that the contract uses: `kept` (three publications), `short` and `plain`."""
    registry = ChannelRegistry()
    registry.add(Channels("kept", history=History(3, MINUTES), presence=True, publish=True))
    registry.add(Channels("short", history=History(3, timedelta(seconds=1))))
    registry.add(Channels("plain"))
    return registry


def eventually(condition: Callable[[], bool], seconds: float = 20.0) -> bool:
    """Wait until something is so; tell whether it is."""
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.01)
    return True


@pytest.fixture
def kept() -> str:
    """A channel with history that no test before has used."""
    return f"kept:{uuid4().hex}"


class BrokerContract:
    """What an application may rely on."""

    def test_a_publication_is_kept_with_its_offset(self, broker: Broker, kept: str) -> None:
        broker.publish([kept], b'{"a":1}')
        broker.publish([kept], b'{"a":2}')

        stream = broker.history(kept, 10)

        assert [(each.offset, each.data) for each in stream.publications] == [
            (1, b'{"a":1}'),
            (2, b'{"a":2}'),
        ]
        assert stream.top.offset == 2
        assert stream.top.epoch

    def test_as_many_are_kept_as_are_declared(self, broker: Broker, kept: str) -> None:
        for number in range(5):
            broker.publish([kept], str(number).encode())

        stream = broker.history(kept, 10)

        assert [each.offset for each in stream.publications] == [3, 4, 5]
        assert stream.top.offset == 5

    def test_an_empty_stream_has_an_epoch_that_stays(self, broker: Broker, kept: str) -> None:
        before = broker.history(kept, 0).top
        broker.publish([kept], b"1")
        after = broker.history(kept, 0).top

        assert before.offset == 0
        assert after == Position(before.epoch, 1)

    @pytest.mark.parametrize(
        "part, expected",
        [
            ((0, None, False), []),
            ((2, None, False), [1, 2]),
            ((2, None, True), [3, 2]),
            ((10, 1, False), [2, 3]),
            ((1, 1, False), [2]),
            ((10, 3, False), []),
            ((10, 2**64 - 1, False), []),
            ((10, 3, True), [2, 1]),
            ((10, 1, True), []),
        ],
    )
    def test_a_part_of_the_history_is_read(self, broker: Broker, kept: str, part, expected) -> None:
        limit, since, reverse = part
        for number in range(3):
            broker.publish([kept], str(number).encode())
        top = broker.history(kept, 0).top

        start = None if since is None else Position(top.epoch, since)
        stream = broker.history(kept, limit, start, reverse=reverse)

        assert [each.offset for each in stream.publications] == expected
        assert stream.top == top

    def test_a_repeated_publication_is_left_out(self, broker: Broker, kept: str) -> None:
        other = f"{kept}2"
        broker.publish([kept], b"1", idempotency_key="once")
        broker.publish([kept, other], b"1", idempotency_key="once")
        broker.publish([kept], b"2", idempotency_key="twice")

        assert [each.data for each in broker.history(kept, 10).publications] == [b"1", b"2"]
        assert [each.data for each in broker.history(other, 10).publications] == [b"1"]

    def test_one_call_publishes_to_several_channels(self, broker: Broker, kept: str) -> None:
        channels = [f"{kept}:{number}" for number in range(5)]
        broker.publish(channels, b"1")
        assert all(broker.history(each, 1).top.offset == 1 for each in channels)

    def test_nobody_is_present_in_a_channel_without_subscribers(
        self, broker: Broker, kept: str
    ) -> None:
        assert broker.presence(kept) == {}


@dataclass
class Inbox:
    """Notes what a broker tells."""

    publications: list[tuple[str, Publication, str]] = field(default_factory=list)
    presences: list[tuple[str, str, bool]] = field(default_factory=list)
    disconnects: list[tuple[int, str, Close]] = field(default_factory=list)
    gaps: int = 0

    def receive_publication(self, channel: str, publication: Publication, epoch: str) -> None:
        self.publications.append((channel, publication, epoch))

    def receive_presence(self, channel: str, info: ClientInfo, *, has_joined: bool) -> None:
        self.presences.append((channel, info.client, has_joined))

    def receive_disconnect(self, user_id: int, session_id: str, close: Close) -> None:
        self.disconnects.append((user_id, session_id, close))

    def receive_gap(self) -> None:
        self.gaps += 1


class ServerBrokerContract(BrokerContract):
    """What a server may rely on as well."""

    @pytest.fixture
    def inbox(self, broker: ServerBroker) -> Inbox:
        inbox = Inbox()
        broker.listen(inbox)
        assert eventually(broker.is_listening)
        return inbox

    def test_a_server_is_told_of_publications_in_order(
        self, broker: ServerBroker, kept: str, inbox: Inbox
    ) -> None:
        info = ClientInfo("7", "client", b'{"name":"A"}', b"[1]")
        for number in range(20):
            broker.publish([kept], str(number).encode(), info=info)

        assert eventually(lambda: len(inbox.publications) == 20)
        epoch = broker.history(kept, 0).top.epoch
        expected = [
            (kept, Publication(str(number).encode(), number + 1, info), epoch)
            for number in range(20)
        ]
        assert inbox.publications == expected
        assert broker.history(kept, 1, reverse=True).publications == (expected[-1][1],)

    def test_without_history_there_is_no_offset(self, broker: ServerBroker, inbox: Inbox) -> None:
        broker.publish(["plain:1"], b'"line\\nbreak"')

        assert eventually(lambda: len(inbox.publications) == 1)
        assert inbox.publications == [("plain:1", Publication(b'"line\\nbreak"'), "")]

    def test_what_is_older_than_declared_is_dropped(self, broker: ServerBroker) -> None:
        channel = f"short:{uuid4().hex}"
        broker.publish([channel], b"1")
        top = broker.history(channel, 0).top

        assert eventually(lambda: not broker.history(channel, 10).publications)
        assert broker.history(channel, 10).top == top
        broker.publish([channel], b"2")
        assert [each.offset for each in broker.history(channel, 10).publications] == [2]

    def test_disconnecting_reaches_the_server(self, broker: ServerBroker, inbox: Inbox) -> None:
        broker.disconnect(7)
        broker.disconnect(8, "session", Close(4001, "some: reason"))

        assert eventually(lambda: len(inbox.disconnects) == 2)
        expected = [(7, "", FORCE_DISCONNECT), (8, "session", Close(4001, "some: reason"))]
        assert inbox.disconnects == expected

    def test_who_comes_and_goes_is_announced(
        self, broker: ServerBroker, kept: str, inbox: Inbox
    ) -> None:
        info = ClientInfo("7", "client")
        broker.announce(kept, info, has_joined=True)
        broker.announce(kept, info, has_joined=False)

        assert eventually(lambda: len(inbox.presences) == 2)
        assert inbox.presences == [(kept, "client", True), (kept, "client", False)]

    def test_who_is_present_is_remembered(self, broker: ServerBroker, kept: str) -> None:
        first, second = ClientInfo("7", "a", b'{"b":1}'), ClientInfo("8", "b", chan_info=b"[]")
        broker.add_presence({kept: [first, second]})
        broker.add_presence({kept: [first]})
        assert broker.presence(kept) == {"a": first, "b": second}

        broker.remove_presence(kept, "a")
        assert broker.presence(kept) == {"b": second}
        broker.remove_presence(kept, "b")
        assert broker.presence(kept) == {}

    def test_positions_of_many_channels(self, broker: ServerBroker, kept: str) -> None:
        broker.publish([kept], b"1")
        positions = broker.positions([kept, f"{kept}:2"])

        assert positions[kept] == broker.history(kept, 0).top
        assert positions[f"{kept}:2"].offset == 0

    def test_an_epoch_is_renewed_once(self, broker: ServerBroker, kept: str) -> None:
        broker.publish([kept], b"1")
        before = broker.history(kept, 0).top
        broker.renew_epoch(kept, before.epoch)
        after = broker.history(kept, 10)
        broker.renew_epoch(kept, before.epoch)

        assert after.top.offset == 0
        assert after.top.epoch != before.epoch
        assert not after.publications
        assert broker.history(kept, 0).top == after.top
