"""The broker: keeps the streams and the presence of channels, and takes messages to the servers.

An application calls `Broker` from any thread. A `ServerBroker` serves the servers of this project
as well; with `CentrifugoBroker` the servers are Centrifugo's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Protocol

from strongback.exceptions import StrongbackError
from strongback.realtime.message import (
    FORCE_DISCONNECT,
    ClientInfo,
    Close,
    Position,
    Publication,
    Stream,
)

IDEMPOTENCY_TTL = timedelta(minutes=5)
"""Time in which a publication with a key that was used is left out."""
META_TTL = timedelta(days=1)
"""Time after which the epoch of a channel is forgotten that nobody has used."""
PRESENCE_TTL = 60.0
"""Seconds after which a connection is no longer present, unless its server has said so again."""
MAX_PRESENCE = 1000
"""Most connections in a response about presence."""


class BrokerUnavailable(StrongbackError):
    """The broker does not answer; nothing is known about what it was asked."""


class Broker(Protocol):
    """What an application asks for, from any thread.

    Each method raises `BrokerUnavailable` if the broker does not answer.
    """

    def publish(
        self,
        channels: Sequence[str],
        data: bytes,
        *,
        idempotency_key: str = "",
        info: ClientInfo | None = None,
    ) -> None:
        """Publish JSON to channels, and add to the history of those that have one.

        With a key, only where no publication had it in the last five minutes, so that the call can
        be repeated. The publisher is named if it is a client.
        """
        ...

    def history(
        self, channel: str, limit: int, since: Position | None = None, *, reverse: bool = False
    ) -> Stream:
        """Return a part of a channel's history, and the end of the stream; of a limit of 0 that.

        It begins after a position, whose epoch is not compared; with `reverse`, the newest first,
        before it.
        """
        ...

    def presence(self, channel: str) -> dict[str, ClientInfo]:
        """Return the connections that are subscribed, by client id; `MAX_PRESENCE` at most."""
        ...

    def disconnect(
        self, user_id: int, session_id: str = "", close: Close = FORCE_DISCONNECT
    ) -> None:
        """Close the connections of a user, or of one session, on every server."""
        ...


class Receiver(Protocol):
    """What a broker tells a server, from a thread of its own; it must return soon."""

    def receive_publication(self, channel: str, publication: Publication, epoch: str) -> None:
        """Take a publication; those of a channel come in order, gaps are possible."""
        ...

    def receive_presence(self, channel: str, info: ClientInfo, *, has_joined: bool) -> None:
        """Take the news that a connection has subscribed, or unsubscribed."""
        ...

    def receive_disconnect(self, user_id: int, session_id: str, close: Close) -> None:
        """Close the connections of a user or session."""
        ...

    def receive_gap(self) -> None:
        """Messages may have been missed: compare the positions of all channels."""
        ...


class ServerBroker(Broker, Protocol):
    """What a server of this project asks for in addition."""

    is_local: bool
    """Whether calls return at once, so that no thread is needed for them."""

    def listen(self, receiver: Receiver) -> None:
        """Tell a server from now on what happens."""
        ...

    def is_listening(self) -> bool:
        """Whether messages arrive at present."""
        ...

    def positions(self, channels: Sequence[str]) -> dict[str, Position]:
        """Return the ends of streams, and keep their epochs from being forgotten."""
        ...

    def renew_epoch(self, channel: str, epoch: str) -> None:
        """Start a channel's stream anew if it has this epoch: publications of it were lost."""
        ...

    def add_presence(self, channels: Mapping[str, Sequence[ClientInfo]]) -> None:
        """Note for `PRESENCE_TTL` who is subscribed to channels."""
        ...

    def remove_presence(self, channel: str, client: str) -> None:
        """Note that a connection is no longer subscribed."""
        ...

    def announce(self, channel: str, info: ClientInfo, *, has_joined: bool) -> None:
        """Tell all servers that a connection has subscribed, or unsubscribed."""
        ...

    def close(self) -> None:
        """Stop listening."""
        ...
