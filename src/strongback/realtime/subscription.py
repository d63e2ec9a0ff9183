"""The channels of one connection: how it enters, and how it leaves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

from strongback.realtime.broker import ServerBroker
from strongback.realtime.channel import ChannelRegistry, Channels, Grant
from strongback.realtime.codec import Params, dump
from strongback.realtime.hub import Channel, Hub, Subscriber
from strongback.realtime.message import (
    ALREADY_SUBSCRIBED,
    LIMIT_EXCEEDED,
    PERMISSION_DENIED,
    UNKNOWN_CHANNEL,
    UNRECOVERABLE_POSITION,
    ClientInfo,
    Position,
    Refused,
)
from strongback.realtime.options import Authenticate, Authorize, Options
from strongback.realtime.recovery import Call, Steps, recover
from strongback.realtime.users import Users

REJECT_UNRECOVERED = 2
"""Flag of a client that wants an error instead of a subscription with a gap."""
EXPIRY_MARGIN = 10
"""Seconds by which a client is told too little, so that it asks for a new token in time."""


@dataclass(frozen=True, slots=True)
class Environment:
    """What the sessions of a server share."""

    hub: Hub
    users: Users
    broker: ServerBroker
    registry: ChannelRegistry
    authenticate: Authenticate
    authorize: Authorize
    options: Options
    clock: Callable[[], float]
    """Seconds of a clock that only goes forward."""
    wall_clock: Callable[[], float]
    """Seconds since 1970."""

    def deadline(self, expires_at: float | None) -> float | None:
        """Return a time of the wall as one of the clock."""
        return None if expires_at is None else self.clock() + expires_at - self.wall_clock()

    def expiry_fields(self, deadline: float | None) -> Params:
        """Return when a token expires, as the protocol writes it."""
        if deadline is None:
            return {}
        return {"expires": True, "ttl": max(1, int(deadline - self.clock()) - EXPIRY_MARGIN)}


class Subscription:
    """A channel of a connection."""

    __slots__ = ("expires_at", "info", "is_live", "namespace")

    def __init__(self, namespace: Channels, info: ClientInfo, expires_at: float | None) -> None:
        self.namespace = namespace
        self.info = info
        self.expires_at = expires_at
        self.is_live = False
        """Whether the client has been told of it."""


class Subscriptions:
    """The channels of a connection, to which `room()` bytes can be sent at the moment."""

    __slots__ = ("_subscriptions", "environment", "info", "room", "subscriber")

    def __init__(
        self, environment: Environment, subscriber: Subscriber, room: Callable[[], int]
    ) -> None:
        self.environment = environment
        self.subscriber = subscriber
        self.info = ClientInfo("", "")
        """The connection, as others see it."""
        self.room = room
        self._subscriptions: dict[str, Subscription] = {}

    def __len__(self) -> int:
        return len(self._subscriptions)

    def find(self, name: str) -> Channels:
        """Return the options of a channel; `Refused` if it, or too many, are subscribed to."""
        namespace = self.environment.registry.find(name)
        if namespace is None:
            raise Refused(UNKNOWN_CHANNEL)
        if name in self._subscriptions:
            raise Refused(ALREADY_SUBSCRIBED)
        if len(self) >= self.environment.options.channels:
            raise Refused(LIMIT_EXCEEDED)
        return namespace

    def get(self, name: str) -> Subscription:
        """Return a subscription; `Refused` if there is none."""
        subscription = self._subscriptions.get(name)
        if subscription is None:
            raise Refused(PERMISSION_DENIED)
        return subscription

    def enter(self, name: str, request: Params, grant: Grant) -> Steps[Params]:
        """Subscribe, and return the result for the client; `release` follows its being sent.

        Raises:
            Refused: The client wants no subscription with a gap, and it would have one; and as
                `find` does.
            BrokerUnavailable: Nothing is known of the channel.
        """
        environment, namespace, info = self.environment, self.find(name), self.info
        if grant.info is not None:
            info = replace(info, chan_info=dump(grant.info))
        deadline = environment.deadline(grant.expires_at)
        self._subscriptions[name] = Subscription(namespace, info, deadline)
        channel = environment.hub.enter(name, self.subscriber)
        try:
            if namespace.presence:
                yield Call(partial(environment.broker.add_presence, {name: [info]}))
            result = environment.expiry_fields(deadline)
            if namespace.history:
                result |= yield from self._position(channel, request)
        except BaseException:
            self.drop(name)
            raise
        return result if grant.data is None else result | {"data": dump(grant.data)}

    def release(self) -> None:
        """Deliver from now on what was entered, and tell others if they want to know."""
        for name, subscription in self._subscriptions.items():
            if not subscription.is_live:
                subscription.is_live = True
                self.environment.hub.release(name, self.subscriber)
                if subscription.namespace.join_leave:
                    self._announce(name, subscription.info, has_joined=True)

    def drop(self, name: str) -> None:
        """Unsubscribe, if it is subscribed, and tell others if they want to know."""
        subscription, environment = self._subscriptions.pop(name, None), self.environment
        if subscription is None:
            return
        environment.hub.leave(name, self.subscriber)
        info = subscription.info
        if subscription.namespace.presence:
            environment.hub.later(partial(environment.broker.remove_presence, name, info.client))
        if subscription.namespace.join_leave and subscription.is_live:
            self._announce(name, info, has_joined=False)

    def drop_all(self) -> None:
        """Unsubscribe from everything."""
        for name in list(self._subscriptions):
            self.drop(name)

    def renew(self, name: str, grant: Grant) -> Params:
        """Let a subscription end later, and return the result for the client."""
        deadline = self.environment.deadline(grant.expires_at)
        self.get(name).expires_at = deadline
        return self.environment.expiry_fields(deadline)

    def expirations(self) -> Iterator[tuple[float, str]]:
        """The times at which subscriptions end, with their channels."""
        for name, subscription in self._subscriptions.items():
            if subscription.expires_at is not None and subscription.is_live:
                yield subscription.expires_at, name

    def present(self) -> Iterator[tuple[str, ClientInfo]]:
        """The channels in which it is seen, and as what."""
        for name, subscription in self._subscriptions.items():
            if subscription.namespace.presence:
                yield name, subscription.info

    def _announce(self, name: str, info: ClientInfo, *, has_joined: bool) -> None:
        broker = self.environment.broker
        self.environment.hub.later(partial(broker.announce, name, info, has_joined=has_joined))

    def _position(self, channel: Channel, request: Params) -> Steps[Params]:
        since = None
        if request.get("recover"):
            since = Position(request.get("epoch", ""), request.get("offset", 0))
        hub, room = self.environment.hub, self.room()
        missed = yield from recover(hub, channel, self.subscriber, since, room)
        position = channel.position
        if position is None or (missed is None and request.get("flag", 0) & REJECT_UNRECOVERED):
            raise Refused(UNRECOVERABLE_POSITION)
        result = {"recoverable": True, "positioned": True, "epoch": position.epoch}
        if since is None:
            return result | {"offset": position.offset}
        if missed is None:
            return result | {"offset": position.offset, "was_recovering": True}
        publications = [each.fields for each in missed]
        recovered = {"offset": since.offset, "was_recovering": True, "recovered": True}
        return result | recovered | {"publications": publications}
