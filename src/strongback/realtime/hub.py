"""The channels that connections of this process are subscribed to, and how far each has come.

A hub belongs to one event loop. All subscribers of a channel are at the same position, and each
message moves it by one. Where one lacks, the hub reads the stream from the broker and delivers in
order. Where that cannot be had, the subscribers are told to subscribe again, and learn of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol

from strongback.realtime.broker import ServerBroker
from strongback.realtime.channel import MAX_HISTORY
from strongback.realtime.codec import Encoding, Params, Write
from strongback.realtime.message import ClientInfo, Close, Identity, Position, Publication, Stream

CHUNK = 500
"""Channels whose positions are asked for at once."""


class Later(Protocol):
    """Calls the broker outside of the loop, in the order of the calls."""

    def __call__(
        self, function: Callable[[], Any], then: Callable[[Any], None] | None = None
    ) -> None:
        """Call a function, and `then` in the loop with its result; None if no broker answered."""
        ...


class Subscriber(Protocol):
    """A connection; `Session` is one."""

    encoding: Encoding
    identity: Identity | None

    @property
    def write(self) -> Write:
        """Sends a frame."""
        ...

    def lose(self, channel: str) -> None:
        """Let the client subscribe again: what it has of a channel is worth nothing now."""
        ...

    def end(self, close: Close) -> None:
        """Close it."""
        ...


class Channel:
    """A channel with subscribers in this process."""

    __slots__ = ("behind", "early", "is_reading", "name", "position", "subscribers", "waiting")

    def __init__(self, name: str) -> None:
        self.name = name
        self.position: Position | None = None
        """The last publication that was delivered; None until the stream has been read."""
        self.early: list[tuple[Publication, str]] = []
        """What came before the position was known, with its epoch."""
        self.subscribers: dict[Subscriber, None] = {}
        self.waiting: dict[Subscriber, list[Publication]] = {}
        """Connections that are not subscribed yet, and what was delivered meanwhile."""
        self.is_reading = False
        """Whether the stream is being read to fill a gap."""
        self.behind = 0
        """Highest offset known that could not be delivered in order."""


class Hub:
    """The channels of a server, whose streams the broker keeps."""

    def __init__(self, broker: ServerBroker, later: Later) -> None:
        self.broker = broker
        self.later = later
        self.channels: dict[str, Channel] = {}
        self.received = 0
        self.sent = 0
        self._gaps: set[Channel] = set()
        self._must_compare = False
        self._is_comparing = False

    def enter(self, name: str, subscriber: Subscriber) -> Channel:
        """Begin to keep for a connection what is delivered to a channel."""
        channel = self.channels.setdefault(name, Channel(name))
        channel.waiting[subscriber] = []
        return channel

    def release(self, name: str, subscriber: Subscriber) -> None:
        """Deliver to a connection from now on; it has got what was kept for it."""
        channel = self.channels[name]
        del channel.waiting[subscriber]
        channel.subscribers[subscriber] = None

    def leave(self, name: str, subscriber: Subscriber) -> None:
        """Deliver nothing to a connection any longer."""
        channel = self.channels.get(name)
        if channel is None:
            return
        channel.waiting.pop(subscriber, None)
        channel.subscribers.pop(subscriber, None)
        if not channel.waiting and not channel.subscribers:
            del self.channels[name]
            self._gaps.discard(channel)

    def align(self, channel: Channel, stream: Stream, asked: Position | None) -> None:
        """Use what was read of a stream for all subscribers.

        The channel can have moved from the position at which it was asked for.
        """
        position, top = channel.position, stream.top
        if position is None:
            self._begin(channel, top)
        elif asked is not None and asked.epoch != position.epoch:
            return  # it was read before the stream began anew
        elif top.epoch != position.epoch:
            self._lose(channel)
        elif asked is not None and top.offset < asked.offset:  # a broker with an older state
            self.later(partial(self.broker.renew_epoch, channel.name, top.epoch))
            self._lose(channel)
        else:
            for publication in stream.publications:
                self._deliver_next(channel, publication)

    def receive_publication(self, name: str, publication: Publication, epoch: str) -> None:
        """Deliver a publication, if it is the next one."""
        channel = self.channels.get(name)
        if channel is None:
            return
        self.received += 1
        if publication.offset:
            self._receive(channel, publication, epoch)
        else:
            self._push(channel, {"pub": publication.fields})

    def receive_presence(self, name: str, info: ClientInfo, *, has_joined: bool) -> None:
        """Tell subscribers that another has come or gone."""
        channel = self.channels.get(name)
        if channel is not None:
            fields = {"info": info.fields}
            self._push(channel, {"join": fields} if has_joined else {"leave": fields})

    def receive_gap(self) -> None:
        """Compare the positions of all channels with their streams', and fill gaps."""
        self._must_compare = True
        self.retry()

    def retry(self) -> None:
        """Ask again for what the broker did not answer; to be called every now and then."""
        if self._must_compare and not self._is_comparing:
            self._compare()
        for channel in list(self._gaps):
            self._fill_gap(channel)

    def _begin(self, channel: Channel, position: Position) -> None:
        channel.position = position
        early, channel.early = channel.early, []
        for publication, epoch in early:
            self._receive(channel, publication, epoch)
        if channel in self._gaps:
            self._fill_gap(channel)

    def _receive(self, channel: Channel, publication: Publication, epoch: str) -> None:
        position = channel.position
        if position is None:
            channel.early.append((publication, epoch))
        elif epoch != position.epoch:
            self._lose(channel)
        elif publication.offset > position.offset + 1:
            channel.behind = publication.offset
            self._fill_gap(channel)
        else:
            self._deliver_next(channel, publication)

    def _deliver_next(self, channel: Channel, publication: Publication) -> None:
        position = channel.position
        if position is None or publication.offset != position.offset + 1:
            return  # it has been delivered
        channel.position = Position(position.epoch, publication.offset)
        for kept in channel.waiting.values():
            kept.append(publication)
        self._push(channel, {"pub": publication.fields})

    def _push(self, channel: Channel, push: Params) -> None:
        reply = {"push": {"channel": channel.name, **push}}
        frames: dict[Encoding, bytes] = {}
        for subscriber in channel.subscribers:
            encoding = subscriber.encoding
            frame = frames.get(encoding)
            if frame is None:
                frame = frames[encoding] = encoding.frame(reply)
            subscriber.write(frame)
        self.sent += len(channel.subscribers)

    def _lose(self, channel: Channel) -> None:
        """Let everybody subscribe again: the stream is another one, or has a hole."""
        channel.position = None
        channel.early, channel.behind = [], 0
        for kept in channel.waiting.values():
            kept.clear()
        for subscriber in list(channel.subscribers):
            subscriber.lose(channel.name)

    def _fill_gap(self, channel: Channel) -> None:
        self._gaps.add(channel)
        asked = channel.position
        if channel.is_reading or asked is None:
            return
        channel.is_reading = True
        read = partial(self.broker.history, channel.name, MAX_HISTORY, asked)
        self.later(read, partial(self._use_for_gap, channel, asked))

    def _use_for_gap(self, channel: Channel, asked: Position, stream: Stream | None) -> None:
        channel.is_reading = False
        if stream is None or channel not in self._gaps:
            return  # not to be had now, or no longer asked for
        self._gaps.discard(channel)
        self.align(channel, stream, asked)
        position = channel.position
        if position is None:
            return
        if position.offset < stream.top.offset:
            self._lose(channel)
        elif position.offset < channel.behind:
            self._fill_gap(channel)

    def _compare(self) -> None:
        self._is_comparing, self._must_compare = True, False
        asked = {c.name: c.position for c in self.channels.values() if c.position is not None}
        # Their streams are being read: what was read before the gap is too old.
        self._gaps.update(c for c in self.channels.values() if c.position is None)
        names = list(asked)
        read = partial(_positions, self.broker, names)
        self.later(read, partial(self._use_positions, asked))

    def _use_positions(self, asked: dict[str, Position], tops: dict[str, Position] | None) -> None:
        self._is_comparing = False
        if tops is None:
            self._must_compare = True
            return
        for name, top in tops.items():
            channel = self.channels.get(name)
            position = channel and channel.position
            if channel is None or not position:
                continue
            if top.epoch != position.epoch or top.offset < asked[name].offset:
                self.align(channel, Stream((), top), asked[name])
            elif top.offset > position.offset:
                self._fill_gap(channel)


def _positions(broker: ServerBroker, names: Sequence[str]) -> dict[str, Position]:
    chunks = (names[at : at + CHUNK] for at in range(0, len(names), CHUNK))
    return {name: top for chunk in chunks for name, top in broker.positions(chunk).items()}
