"""A broker in the memory of one process, for one that serves all connections itself."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from uuid import uuid4

from strongback.realtime.broker import IDEMPOTENCY_TTL, MAX_PRESENCE, META_TTL, Receiver
from strongback.realtime.channel import ChannelRegistry, History
from strongback.realtime.message import (
    FORCE_DISCONNECT,
    ClientInfo,
    Close,
    Position,
    Publication,
    Stream,
)

SWEEP = 60.0
"""Seconds between removals of what has expired."""


class _Log:
    """The stream of a channel."""

    __slots__ = ("epoch", "expires_at", "forgotten_at", "offset", "publications")

    def __init__(self) -> None:
        self.epoch = uuid4().hex[:8]
        self.offset = 0
        self.publications: list[Publication] = []
        self.expires_at = 0.0
        self.forgotten_at = 0.0

    def add(
        self, history: History, data: bytes, info: ClientInfo | None, now: float
    ) -> Publication:
        self.drop_expired(now)
        self.offset += 1
        publication = Publication(data, self.offset, info)
        self.publications.append(publication)
        del self.publications[: -history.size]
        self.expires_at = now + history.ttl.total_seconds()
        return publication

    def drop_expired(self, now: float) -> None:
        if now >= self.expires_at:
            self.publications.clear()

    @property
    def top(self) -> Position:
        return Position(self.epoch, self.offset)


class LocalBroker:
    """Keeps everything in memory."""

    is_local = True

    def __init__(
        self, registry: ChannelRegistry, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._registry = registry
        self._clock = clock
        self._lock = threading.Lock()
        self._logs: dict[str, _Log] = {}
        self._present: dict[str, dict[str, ClientInfo]] = {}
        self._keys: dict[tuple[str, str], float] = {}
        self._receiver: Receiver | None = None
        self._swept_at = clock()

    def publish(
        self,
        channels: Sequence[str],
        data: bytes,
        *,
        idempotency_key: str = "",
        info: ClientInfo | None = None,
    ) -> None:
        """Publish to channels, and add to the history of those that have one."""
        with self._lock:  # so that the receiver is told in the order of the offsets
            self._sweep()
            for channel in channels:
                if not idempotency_key or self._is_new((channel, idempotency_key)):
                    self._publish(channel, data, info)

    def history(
        self, channel: str, limit: int, since: Position | None = None, *, reverse: bool = False
    ) -> Stream:
        """Return a part of a channel's history."""
        with self._lock:
            log = self._log(channel)
            log.drop_expired(self._clock())
            found = log.publications[::-1] if reverse else log.publications
            if since is not None:
                sign = -1 if reverse else 1
                found = [each for each in found if sign * (each.offset - since.offset) > 0]
            return Stream(tuple(found[:limit]), log.top)

    def presence(self, channel: str) -> dict[str, ClientInfo]:
        """Return the connections that are subscribed, by client id."""
        with self._lock:
            present = list(self._present.get(channel, {}).items())
        return dict(present[:MAX_PRESENCE])

    def disconnect(
        self, user_id: int, session_id: str = "", close: Close = FORCE_DISCONNECT
    ) -> None:
        """Close the connections of a user, or of one session."""
        if self._receiver is not None:
            self._receiver.receive_disconnect(user_id, session_id, close)

    def listen(self, receiver: Receiver) -> None:
        """Tell a server from now on what happens."""
        self._receiver = receiver

    def is_listening(self) -> bool:
        """Whether there is a server."""
        return self._receiver is not None

    def positions(self, channels: Sequence[str]) -> dict[str, Position]:
        """Return the ends of streams, and keep their epochs from being forgotten."""
        with self._lock:
            return {channel: self._log(channel).top for channel in channels}

    def renew_epoch(self, channel: str, epoch: str) -> None:
        """Start a channel's stream anew if it has this epoch."""
        with self._lock:
            if channel in self._logs and self._logs[channel].epoch == epoch:
                del self._logs[channel]

    def add_presence(self, channels: Mapping[str, Sequence[ClientInfo]]) -> None:
        """Note who is subscribed to channels; it lasts as long as the process."""
        with self._lock:
            for channel, infos in channels.items():
                present = self._present.setdefault(channel, {})
                present.update({info.client: info for info in infos})

    def remove_presence(self, channel: str, client: str) -> None:
        """Note that a connection is no longer subscribed."""
        with self._lock:
            present = self._present.get(channel, {})
            present.pop(client, None)
            if not present:
                self._present.pop(channel, None)

    def announce(self, channel: str, info: ClientInfo, *, has_joined: bool) -> None:
        """Tell the server that a connection has subscribed, or unsubscribed."""
        if self._receiver is not None:
            self._receiver.receive_presence(channel, info, has_joined=has_joined)

    def close(self) -> None:
        """Tell nobody any more."""
        self._receiver = None

    def _publish(self, channel: str, data: bytes, info: ClientInfo | None) -> None:
        history = self._registry.history(channel)
        if history is None:
            publication, epoch = Publication(data, info=info), ""
        else:
            log = self._log(channel)
            publication, epoch = log.add(history, data, info, self._clock()), log.epoch
        if self._receiver is not None:
            self._receiver.receive_publication(channel, publication, epoch)

    def _log(self, channel: str) -> _Log:
        log = self._logs.setdefault(channel, _Log())
        log.forgotten_at = self._clock() + META_TTL.total_seconds()
        return log

    def _is_new(self, key: tuple[str, str]) -> bool:
        now = self._clock()
        if self._keys.get(key, 0.0) > now:
            return False
        self._keys[key] = now + IDEMPOTENCY_TTL.total_seconds()
        return True

    def _sweep(self) -> None:
        now = self._clock()
        if now < self._swept_at + SWEEP:
            return
        self._swept_at = now
        self._keys = {key: end for key, end in self._keys.items() if end > now}
        for log in self._logs.values():
            log.drop_expired(now)
        self._logs = {name: log for name, log in self._logs.items() if log.forgotten_at > now}
