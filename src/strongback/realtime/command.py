"""The commands about channels; each returns the result for the client."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial

from strongback.realtime.channel import MAX_HISTORY, Grant
from strongback.realtime.codec import Params, load
from strongback.realtime.message import (
    BAD_REQUEST,
    NOT_AVAILABLE,
    PERMISSION_DENIED,
    UNRECOVERABLE_POSITION,
    ClientInfo,
    Position,
    Publication,
    Refused,
    Stream,
)
from strongback.realtime.recovery import Call, Steps
from strongback.realtime.subscription import Subscriptions


def subscribe(mine: Subscriptions, params: Params) -> Steps[Params]:
    """Subscribe to a channel that the application grants."""
    mine.find(_channel(params))  # before the application is asked
    grant = yield from _authorize(mine, params)
    return (yield from mine.enter(_channel(params), params, grant))


def sub_refresh(mine: Subscriptions, params: Params) -> Steps[Params]:
    """Let a subscription end later, by a new token."""
    mine.get(_channel(params))
    grant = yield from _authorize(mine, params)
    return mine.renew(_channel(params), grant)


def unsubscribe(mine: Subscriptions, params: Params) -> Steps[Params]:
    """End a subscription."""
    mine.drop(_channel(params))
    yield from ()
    return {}


def publish(mine: Subscriptions, params: Params) -> Steps[Params]:
    """Publish to a channel whose subscribers may."""
    channel, data = _channel(params), params.get("data", b"")
    subscription = mine.get(channel)
    if not subscription.namespace.publish:
        raise Refused(PERMISSION_DENIED)
    try:
        load(data)  # a Protobuf client can send anything
    except ValueError as error:
        raise Refused(BAD_REQUEST) from error
    yield Call(partial(mine.environment.broker.publish, [channel], data, info=subscription.info))
    return {}


def presence(mine: Subscriptions, params: Params) -> Steps[Params]:
    """Tell who is subscribed."""
    present = yield from _present(mine, params)
    return {"presence": {client: info.fields for client, info in present.items()}}


def presence_stats(mine: Subscriptions, params: Params) -> Steps[Params]:
    """Tell how many are subscribed."""
    present = yield from _present(mine, params)
    users = {info.user for info in present.values()}
    return {"num_clients": len(present), "num_users": len(users)}


def history(mine: Subscriptions, params: Params) -> Steps[Params]:
    """Return publications that are kept, and the end of the stream."""
    channel, limit, since = _channel(params), params.get("limit", 0), params.get("since")
    if not mine.get(channel).namespace.history:
        raise Refused(NOT_AVAILABLE)
    limit = limit if 0 <= limit <= MAX_HISTORY else MAX_HISTORY
    # An empty one is the stream's begin: both encodings leave out what is zero.
    start = None if since is None else Position(since.get("epoch", ""), since.get("offset", 0))
    is_reversed = params.get("reverse", False)
    read = partial(mine.environment.broker.history, channel, limit, start, reverse=is_reversed)
    stream: Stream = yield Call(read)
    if start and start.epoch not in ("", stream.top.epoch):
        raise Refused(UNRECOVERABLE_POSITION)
    return {
        "publications": _fitting(stream.publications, mine.room()),
        "epoch": stream.top.epoch,
        "offset": stream.top.offset,
    }


def rpc(_mine: Subscriptions, _params: Params) -> Steps[Params]:
    """Refuse: there are none."""
    yield from ()
    raise Refused(NOT_AVAILABLE)


COMMANDS: Mapping[str, Callable[[Subscriptions, Params], Steps[Params]]] = {
    "subscribe": subscribe,
    "sub_refresh": sub_refresh,
    "unsubscribe": unsubscribe,
    "publish": publish,
    "presence": presence,
    "presence_stats": presence_stats,
    "history": history,
    "rpc": rpc,
}


def _fitting(publications: Iterable[Publication], room: int) -> list[Params]:
    """As many as can be sent, but one at least: the client asks for the others from there on."""
    found: list[Params] = []
    for publication in publications:
        room -= len(publication.data)
        if found and room < 0:
            break
        found.append(publication.fields)
    return found


def _channel(params: Params) -> str:
    name: str = params.get("channel", "")
    return name


def _authorize(mine: Subscriptions, params: Params) -> Steps[Grant]:
    identity, token = mine.subscriber.identity, params.get("token", "")
    if identity is None:
        raise Refused(PERMISSION_DENIED)
    authorize = partial(mine.environment.authorize, identity, _channel(params), token)
    grant: Grant | None = yield Call(authorize, asks_application=True)
    if grant is None:
        raise Refused(PERMISSION_DENIED)
    return grant


def _present(mine: Subscriptions, params: Params) -> Steps[Mapping[str, ClientInfo]]:
    channel = _channel(params)
    if not mine.get(channel).namespace.presence:
        raise Refused(NOT_AVAILABLE)
    found: Mapping[str, ClientInfo] = yield Call(partial(mine.environment.broker.presence, channel))
    return found
