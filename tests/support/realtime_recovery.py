"""A scenario: publications to a client of the official SDK that is cut off again and again.

    events = asyncio.run(watch(url, "room", publish, count=1000, cuts=50))
    check(events, 1000)

`check` tells whether the application could have noticed everything that it was not shown.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Self

from centrifuge import Client, PublicationContext, SubscribedContext

from tests.support.realtime import sign

PATIENCE = 30.0
"""Seconds in which a client has to catch up."""
BACKLOG = 50
"""Publications that a client may be behind: the channel keeps twice as many."""


@dataclass(frozen=True)
class Shown:
    """A publication that the application was given."""

    number: int


@dataclass(frozen=True)
class Subscribed:
    """A subscription, after which the application knows whether it has missed something."""

    is_gap: bool


class Cutter:
    """Stands between a client and a server, and cuts their connections.

    Args:
        port: Of the server on this machine; each new connection takes the next of several.
    """

    def __init__(self, *ports: int) -> None:
        self._ports = ports
        self._turn = 0
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"ws://127.0.0.1:{port}/connection/websocket"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        while self._tasks:
            self.cut()
            await asyncio.wait(self._tasks, timeout=0.1)
        await self._server.wait_closed()

    def cut(self) -> None:
        """Cut every connection, in the middle of whatever it carries."""
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._forward(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._turn += 1
        port = self._ports[self._turn % len(self._ports)]
        with suppress(OSError):
            their_reader, their_writer = await asyncio.open_connection("127.0.0.1", port)
            both = {writer, their_writer}
            self._writers |= both
            await asyncio.gather(_copy(reader, their_writer), _copy(their_reader, writer))
            self._writers -= both
        writer.transport.abort()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.transport.abort()


@dataclass
class Watch:
    """What a client has been told."""

    events: list[Shown | Subscribed] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    published: int = 0
    known: int = 0
    """The last that the application knows of: by reloading, after a gap."""

    async def note_publication(self, ctx: PublicationContext) -> None:
        """Note what is shown."""
        self.known = ctx.pub.data["number"]
        self.events.append(Shown(self.known))
        self.changed.set()

    async def note_subscription(self, ctx: SubscribedContext) -> None:
        """Note whether something may be missing."""
        is_gap = ctx.was_recovering and not ctx.recovered
        self.known = self.published if is_gap else self.known
        self.events.append(Subscribed(is_gap))
        self.changed.set()

    async def until_known(self, number: int) -> None:
        """Wait until the application knows of a publication.

        Raises:
            TimeoutError: It does not.
        """
        async with asyncio.timeout(PATIENCE):
            while self.known < number:
                self.changed.clear()
                await self.changed.wait()


async def watch(
    cutter: Cutter,
    channel: str,
    publish: Callable[[int], None],
    *,
    count: int,
    cuts: int,
    trouble: Callable[[int], None] = lambda number: None,
    use_protobuf: bool = False,
) -> list[Shown | Subscribed]:
    """Publish numbers while a client is connected and cut off, and return what it was told.

    Args:
        cutter: Stands before the servers.
        channel: Channel with a history.
        publish: Publishes `{"number": …}`, until it succeeds; called in a thread.
        count: Publications, from 1; more follow until one of them is shown.
        cuts: How often the client is cut off in between.
        trouble: Called in a thread before each publication, with its number.
        use_protobuf: Let the client speak Protobuf.
    """
    seen = Watch()
    client = Client(
        cutter.url,
        token=sign({"sub": "42"}),
        min_reconnect_delay=0.01,
        max_reconnect_delay=0.2,
        use_protobuf=use_protobuf,
    )
    subscription = client.new_subscription(
        channel, min_resubscribe_delay=0.01, max_resubscribe_delay=0.2
    )
    subscription.events.on_publication = seen.note_publication
    subscription.events.on_subscribed = seen.note_subscription
    await client.connect()
    await subscription.subscribe()
    await subscription.ready(PATIENCE)
    moments = set(random.Random(count).sample(range(1, count), cuts))
    for number in range(1, count + 1):
        await asyncio.to_thread(trouble, number)
        await asyncio.to_thread(publish, number)
        seen.published = number
        if number in moments:
            cutter.cut()
        await seen.until_known(number - BACKLOG)
    await seen.until_known(count)
    while not isinstance(seen.events[-1], Shown) or seen.known <= count:
        seen.published += 1
        await asyncio.to_thread(publish, seen.published)
        await seen.until_known(seen.published)
    await client.disconnect()
    return seen.events


def check(events: list[Shown | Subscribed], count: int) -> int:
    """Check that each was shown once, in order, unless the application was told of a gap.

    Returns:
        How many gaps it was told of.
    """
    last, is_gap, gaps = 0, False, 0
    for event in events:
        if isinstance(event, Subscribed):
            is_gap, gaps = is_gap or event.is_gap, gaps + event.is_gap
            continue
        is_next = event.number == last + 1
        # With its data the broker has lost the key of the last publication: it is sent once more.
        assert is_next or (is_gap and event.number >= last), (last, event.number)
        last, is_gap = event.number, False
    assert last > count
    return gaps
