"""Recovery: what a connection has missed in a channel, without a gap to what follows."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeVar

from strongback.realtime.channel import MAX_HISTORY
from strongback.realtime.hub import Channel, Hub, Subscriber
from strongback.realtime.message import INTERNAL, Position, Publication, Refused

ResultT = TypeVar("ResultT")
ATTEMPTS = 3


class Call(NamedTuple):
    """A call that a session waits for; its driver makes it and sends the result back."""

    function: Callable[[], Any]
    asks_application: bool = False
    """Whether it is code of the application, which can be slow, or a call of the broker."""


Steps = Generator[Call, Any, ResultT]


def recover(
    hub: Hub, channel: Channel, subscriber: Subscriber, since: Position | None, room: int
) -> Steps[Sequence[Publication] | None]:
    """Find out what a subscriber has missed, up to the channel's position.

    The channel keeps for the subscriber what is delivered to others meanwhile, see `Hub.enter`.

    Returns:
        What it has missed since its last position; None if that is unknown, or no longer kept, or
        more bytes of data than there is room for.

    Raises:
        Refused: The stream began anew again and again meanwhile.
    """
    for _ in range(ATTEMPTS):
        asked, stream = channel.position, None
        if asked is None or _is_of(since, asked.epoch):
            read = partial(hub.broker.history, channel.name, MAX_HISTORY if since else 0)
            # The hub can be behind the client.
            known = [each for each in (since, asked) if each is not None]
            earlier = min(known, key=lambda each: each.offset, default=None)
            stream = yield Call(partial(read, earlier))
            hub.align(channel, stream, asked)
        position = channel.position
        if position is None:
            continue
        kept = channel.waiting[subscriber]
        found = {each.offset: each for each in [*(stream.publications if stream else ()), *kept]}
        missed = _between(since, position, found)
        top = stream.top.offset if stream else position.offset
        if top > position.offset:
            return None  # what is on the way to the channel is no longer kept
        if missed is not None or top == position.offset:
            size = sum(len(each.data) for each in missed or ())
            return missed if size <= room else None
    if channel.position is None:
        raise Refused(INTERNAL)
    return None


def _is_of(since: Position | None, epoch: str) -> bool:
    return since is not None and since.epoch in ("", epoch)


def _between(
    since: Position | None, position: Position, found: Mapping[int, Publication]
) -> list[Publication] | None:
    """What lies between two positions; None if one lacks."""
    if since is None or not _is_of(since, position.epoch):
        return None
    count = position.offset - since.offset
    missed = [found[each] for each in sorted(found) if since.offset < each <= position.offset]
    return missed if len(missed) == count else None
