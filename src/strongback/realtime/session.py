"""The state machine of one connection; it does no I/O.

Messages of the client go in, frames and the end of the connection go out. Where a command needs the
application or the broker, the session yields a `Call` and goes on when its driver sends the result,
or throws `TimeoutError` and the like. One command is carried out at a time.
"""

from __future__ import annotations

from functools import partial
from importlib.metadata import version
from typing import Protocol
from uuid import uuid4

from strongback.realtime.broker import BrokerUnavailable
from strongback.realtime.channel import Grant
from strongback.realtime.codec import Command, Encoding, Params, Write, dump
from strongback.realtime.command import COMMANDS
from strongback.realtime.message import (
    BAD_PROTOCOL,
    CONNECTION_LIMIT,
    EXPIRED,
    FORCE_DISCONNECT,
    INSUFFICIENT_STATE,
    INTERNAL,
    INVALID_TOKEN,
    NO_PONG,
    SEND_NOT_AVAILABLE,
    STALE,
    STATE_LOST,
    SUBSCRIPTION_EXPIRED,
    TOO_MANY_REQUESTS,
    ClientInfo,
    Close,
    Disconnected,
    Error,
    Identity,
    Refused,
)
from strongback.realtime.recovery import Call, Steps
from strongback.realtime.subscription import Environment, Subscriptions

VERSION = f"strongback {version('strongback')}"


class Output(Protocol):
    """Where a session's frames go; `Connection` is one."""

    @property
    def write(self) -> Write:
        """Sends a frame."""
        ...

    def close(self, close: Close) -> None:
        """Close the connection; nothing is written after that."""
        ...

    def room(self) -> int:
        """Return the bytes that can be written before the bound of the buffer."""
        ...


class Session:
    """A connection that has been opened."""

    __slots__ = (
        "_burst", "_burst_at", "_environment", "_expires_at", "_has_failed", "_is_awaiting_pong",
        "_is_connected", "_output", "_pinged_at", "due", "encoding", "identity", "is_over",
        "subscriptions", "write",
    )  # fmt: skip

    def __init__(self, environment: Environment, encoding: Encoding, output: Output) -> None:
        now = environment.clock()
        self.encoding = encoding
        self.write: Write = output.write
        self.identity: Identity | None = None
        self.subscriptions = Subscriptions(environment, self, output.room)
        self.is_over = False
        self.due = now + environment.options.connect_seconds
        """Time at which `tick` has something to do."""
        self._environment = environment
        self._output = output
        self._expires_at: float | None = None
        self._is_connected = self._has_failed = self._is_awaiting_pong = False
        self._pinged_at = now
        self._burst, self._burst_at = float(environment.options.burst), now

    def receive(self, message: bytes) -> Steps[None]:
        """Carry out the commands of a message, one after the other."""
        try:
            for command in self.encoding.decode(message):
                yield from self._execute(command)
                if self.is_over or self._has_failed:
                    return  # what follows a connect that failed is ignored
        except Disconnected as error:
            self.end(error.close)

    def tick(self) -> None:
        """Do what the time demands: pings, and the end of what has expired."""
        now, options = self._environment.clock(), self._environment.options
        if not self._is_connected:
            self.end(STALE)
        elif self._expires_at is not None and now >= self._expires_at:
            self.end(EXPIRED)
        elif self._is_awaiting_pong and now >= self._pinged_at + options.pong_seconds:
            self.end(NO_PONG)
        else:
            for expires_at, channel in list(self.subscriptions.expirations()):
                if now >= expires_at:
                    self._unsubscribe(channel, SUBSCRIPTION_EXPIRED)
            if now >= self._pinged_at + options.ping_seconds:
                self._pinged_at, self._is_awaiting_pong = now, True
                self.write(self.encoding.frame({}))
            self._schedule()

    def count(self) -> None:
        """Count what costs as much as a command; `Disconnected` if there were too many."""
        options, now = self._environment.options, self._environment.clock()
        refilled = self._burst + (now - self._burst_at) * options.rate
        self._burst, self._burst_at = min(refilled, options.burst) - 1, now
        if self._burst < 0:
            raise Disconnected(TOO_MANY_REQUESTS)

    def lose(self, channel: str) -> None:
        """Let the client subscribe again: what it has of a channel is worth nothing now."""
        if self.identity is not None and channel in self.identity.channels:
            self.end(STATE_LOST)  # it subscribes to these by connecting
        else:
            self._unsubscribe(channel, INSUFFICIENT_STATE)

    def end(self, close: Close) -> None:
        """Close the connection."""
        if not self.is_over:
            self.forget()
            self._output.close(close)

    def forget(self) -> None:
        """Leave everything: the connection is closed."""
        self.is_over = True
        self._leave()

    def _unsubscribe(self, channel: str, close: Close) -> None:
        self.subscriptions.drop(channel)
        fields = {"code": close.code, "reason": close.reason}
        push = {"push": {"channel": channel, "unsubscribe": fields}}
        self.write(self.encoding.frame(push))

    def _leave(self) -> None:
        self.subscriptions.drop_all()
        if self.identity is not None:
            self._environment.users.remove(self.identity.user_id, self)
            self.identity = None

    def _execute(self, command: Command) -> Steps[None]:
        if not command.id:
            self._take_unnumbered(command)
            return
        self.count()
        if (command.method == "connect") == self._is_connected:
            raise Disconnected(BAD_PROTOCOL)
        try:
            result = yield from self._carry_out(command)
            if self.is_over:
                return
            self.write(self.encoding.frame({"id": command.id, command.method: result}))
            self.subscriptions.release()
            self._schedule()
        except Refused as refusal:
            self._refuse(command, refusal.error)
        except (BrokerUnavailable, TimeoutError):
            self._refuse(command, INTERNAL)

    def _carry_out(self, command: Command) -> Steps[Params]:
        if command.method == "connect":
            return self._connect(command.params)
        if command.method == "refresh":
            return self._refresh(command.params)
        carry_out = COMMANDS.get(command.method)
        if carry_out is None:
            raise Disconnected(BAD_PROTOCOL)
        return carry_out(self.subscriptions, command.params)

    def _take_unnumbered(self, command: Command) -> None:
        if self._is_connected and command.method == "send":
            raise Disconnected(SEND_NOT_AVAILABLE)
        if command.method or not self._is_awaiting_pong:
            raise Disconnected(BAD_PROTOCOL)
        self._is_awaiting_pong = False
        self._schedule()

    def _refuse(self, command: Command, error: Error) -> None:
        if command.method == "connect":
            self._has_failed = True
            self._leave()
        fields: Params = {"code": error.code, "message": error.message}
        if error.temporary:
            fields["temporary"] = True
        self.write(self.encoding.frame({"id": command.id, "error": fields}))

    def _schedule(self) -> None:
        """Set the time of the next tick."""
        options = self._environment.options
        wait = options.pong_seconds if self._is_awaiting_pong else options.ping_seconds
        ends = [each for each, _ in self.subscriptions.expirations()]
        if self._expires_at is not None:
            ends.append(self._expires_at)
        self.due = min([self._pinged_at + wait, *ends])

    def _connect(self, params: Params) -> Steps[Params]:
        users, options = self._environment.users, self._environment.options
        endings = users.endings
        identity = yield from self._authenticate(params)
        if users.has_ended(identity, endings):
            raise Disconnected(FORCE_DISCONNECT)
        if not users.add(identity.user_id, self, options.connections_per_user):
            raise Disconnected(CONNECTION_LIMIT)
        self._accept(identity)
        conn_info = b"" if identity.info is None else dump(identity.info)
        self.subscriptions.info = ClientInfo(str(identity.user_id), str(uuid4()), conn_info)
        subs: dict[str, Params] = {}
        for name in identity.channels:
            request = params.get("subs", {}).get(name, {})
            subs[name] = yield from self.subscriptions.enter(name, request, Grant())
        self._is_connected, self._pinged_at = True, self._environment.clock()
        ping = {"ping": max(1, round(options.ping_seconds)), "pong": True}
        return {**self._client_fields(), "subs": subs, **ping}

    def _refresh(self, params: Params) -> Steps[Params]:
        identity = yield from self._authenticate(params)
        if self.identity is None or identity.user_id != self.identity.user_id:
            raise Disconnected(INVALID_TOKEN)
        self._accept(identity)
        return self._client_fields()

    def _authenticate(self, params: Params) -> Steps[Identity]:
        token = params.get("token")
        if token is None:
            raise Disconnected(BAD_PROTOCOL)  # nobody is anonymous
        authenticate = partial(self._environment.authenticate, token)
        identity: Identity = yield Call(authenticate, asks_application=True)
        return identity

    def _accept(self, identity: Identity) -> None:
        self.identity = identity
        self._expires_at = self._environment.deadline(identity.expires_at)

    def _client_fields(self) -> Params:
        expiry = self._environment.expiry_fields(self._expires_at)
        return {"client": self.subscriptions.info.client, "version": VERSION, **expiry}
