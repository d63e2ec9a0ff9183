"""What an application publishes: `emit` in a transaction, `publish` at once.

    @transactional
    def comment(...):
        ...
        realtime.emit(article_channels.channel(7), {"type": "comment", "id": 12})

What is emitted is stored in the outbox, with the change that it tells about, and is published after
the commit, at least once; its id keeps it from being published twice. What is published at once may
be lost, and is for what the next one replaces.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from secrets import token_hex
from typing import Any

from strongback.database import Database, transactional
from strongback.log.setup import get_logger
from strongback.outbox import Outbox
from strongback.realtime.broker import Broker, BrokerUnavailable
from strongback.realtime.channel import ChannelRegistry, Channels, InvalidChannel
from strongback.realtime.exceptions import InvalidPublication
from strongback.realtime.message import ClientInfo, Position, Stream

log = get_logger(__name__)

PUBLISH = "realtime:publish"
DISCONNECT = "realtime:disconnect"
MAX_DATA = 16 * 1024
"""Bytes of a publication as JSON."""
MAX_CHANNELS = 500
"""Channels that get one publication."""
BATCH = 100
"""Channels in one message of the outbox, which holds as many of the longest names."""
MAX_MESSAGE = 96 * 1024
"""Bytes of such a message, in which a character may take six."""


class Realtime:
    """Publishes, and tells who is there."""

    def __init__(
        self, database: Database, outbox: Outbox, channels: ChannelRegistry, broker: Broker
    ) -> None:
        self.database = database
        self.channels = channels
        self.broker = broker
        self._outbox = outbox

    def add(self, channels: Channels) -> Channels:
        """Add a slice's channels, and return them.

        Raises:
            ConfigurationError: There are channels of this name.
        """
        return self.channels.add(channels)

    def personal(self, user_id: int) -> str:
        """Name of an account's own channel: every connection of it is subscribed."""
        return self.channels.personal(user_id)

    def emit(
        self,
        channels: str | Sequence[str],
        data: Any,  # noqa: ANN401  JSON
        *,
        key: str | None = None,
    ) -> None:
        """Publish once the current transaction is committed.

        Args:
            channels: One, or up to `MAX_CHANNELS`.
            data: JSON of at most `MAX_DATA` bytes: what has changed, and its id.
            key: Subject whose publications come in the order of their transactions; the caller
                holds a lock on it. Without one, two may come the other way round.

        Raises:
            DatabaseMisuse: No transaction is open.
            InvalidChannel: No channel is called so, or there are too many.
            InvalidPublication: The data is no JSON, or too much.
        """
        names = self._checked(channels)
        encode(data)
        for start in range(0, len(names), BATCH):
            batch = names[start : start + BATCH]
            payload = {"channels": batch, "data": data, "id": token_hex(12)}
            self._outbox.emit(PUBLISH, payload, key=key, limit=MAX_MESSAGE)

    def publish(self, channels: str | Sequence[str], data: Any) -> bool:  # noqa: ANN401  JSON
        """Publish at once, whatever becomes of the transaction; tell whether the broker took it.

        Raises:
            InvalidChannel: As `emit`.
            InvalidPublication: As `emit`.
        """
        names = self._checked(channels)
        try:
            self.broker.publish(names, encode(data))
        except BrokerUnavailable as error:
            log.warning("publication_lost", channels=len(names), error=str(error))
            return False
        return True

    def presence(self, channel: str) -> dict[str, ClientInfo]:
        """The connections that are subscribed to a channel, by client id.

        Raises:
            BrokerUnavailable: The broker does not answer.
            InvalidChannel: No channel is called so.
        """
        self._checked(channel)
        return self.broker.presence(channel)

    def history(
        self, channel: str, limit: int, since: Position | None = None, *, reverse: bool = False
    ) -> Stream:
        """A part of a channel's history; see `Broker.history`.

        Raises:
            BrokerUnavailable: The broker does not answer.
            InvalidChannel: No channel is called so.
        """
        self._checked(channel)
        return self.broker.history(channel, limit, since, reverse=reverse)

    @transactional
    def disconnect(self, user_id: int, session_id: str = "") -> None:
        """Close the connections of an account, or of one session, once this is committed."""
        payload = {"user_id": user_id, "session_ids": [session_id] if session_id else None}
        self._outbox.emit(DISCONNECT, payload)

    def _checked(self, channels: str | Sequence[str]) -> list[str]:
        names = [channels] if isinstance(channels, str) else list(dict.fromkeys(channels))
        if len(names) > MAX_CHANNELS:
            raise InvalidChannel(f"{len(names)} channels, and {MAX_CHANNELS} are allowed at once")
        for name in names:
            if self.channels.find(name) is None:
                raise InvalidChannel(f"no channel is called {name!r}: declare its namespace")
        return names


def encode(data: object) -> bytes:
    """Write a publication as JSON; `InvalidPublication` if it is none, or too much."""
    try:
        text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        encoded = text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidPublication(f"a publication is JSON: {error}") from None
    if len(encoded) > MAX_DATA:
        raise InvalidPublication(
            f"a publication has {len(encoded)} bytes, and {MAX_DATA} are allowed: send an id,"
            " by which clients ask for the rest"
        )
    return encoded
