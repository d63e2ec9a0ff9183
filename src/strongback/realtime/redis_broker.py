"""A broker in Redis, for several processes.

A publication is one call of a script: it asks for the idempotency key, adds to the stream (the id
of an entry is its offset), and publishes to the one topic that every server listens to. Pub/sub
loses messages while a server is cut off; what has a history is read from the stream afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import uuid4

from redis import Redis

from strongback.realtime.broker import (
    IDEMPOTENCY_TTL,
    MAX_PRESENCE,
    META_TTL,
    PRESENCE_TTL,
    BrokerUnavailable,
    Receiver,
)
from strongback.realtime.channel import ChannelRegistry
from strongback.realtime.codec import dump, load
from strongback.realtime.message import (
    FORCE_DISCONNECT,
    ClientInfo,
    Close,
    Position,
    Publication,
    Stream,
)
from strongback.redis.client import RedisClient
from strongback.redis.error import RedisUnavailable
from strongback.redis.listener import RedisListener

MILLISECOND = timedelta(milliseconds=1)
LAST = 2**63
"""An offset that no stream reaches, and that Redis takes."""

# The stream of a channel: meta {e: epoch, s: offset of the last publication}, and a stream. A meta
# that has gone took the numbers with it, so the stream goes too.
_OPEN = """
local function open(meta, stream, epoch, ttl)
  local found = redis.call('HGET', meta, 'e')
  if not found then
    found = epoch
    redis.call('HSET', meta, 'e', found, 's', 0)
    redis.call('DEL', stream)
  end
  redis.call('PEXPIRE', meta, ttl)
  return found
end
"""
PUBLISH = _OPEN + """
local meta, stream, once, topic = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local epoch, meta_ttl, size, ttl, once_ttl, channel, info, data = unpack(ARGV)
if once_ttl ~= '0' and redis.call('EXISTS', once) == 1 then return 0 end
local offset = '0'
if size ~= '0' then
  epoch = open(meta, stream, epoch, meta_ttl)
  offset = string.format('%.0f', redis.call('HINCRBY', meta, 's', 1))
  redis.call('XADD', stream, 'MAXLEN', size, offset .. '-0', 'i', info, 'd', data)
  redis.call('PEXPIRE', stream, ttl)
end
local message = {'publication', channel, epoch, offset, info, data}
redis.call('PUBLISH', topic, table.concat(message, '\\n'))
if once_ttl ~= '0' then redis.call('SET', once, '', 'PX', once_ttl) end
return 1
"""
READ = _OPEN + """
local epoch = open(KEYS[1], KEYS[2], ARGV[1], ARGV[2])
local limit, first, last = tonumber(ARGV[3]), ARGV[4], ARGV[5]
local entries = {}
if limit > 0 and ARGV[6] == '1' then
  entries = redis.call('XREVRANGE', KEYS[2], last, first, 'COUNT', limit)
elseif limit > 0 then
  entries = redis.call('XRANGE', KEYS[2], first, last, 'COUNT', limit)
end
return {epoch, redis.call('HGET', KEYS[1], 's'), entries}
"""
RENEW = """
if redis.call('HGET', KEYS[1], 'e') == ARGV[1] then redis.call('DEL', KEYS[1], KEYS[2]) end
"""
ADD_PRESENCE = """
local ends = tonumber(redis.call('TIME')[1]) + ARGV[1]
for each = 2, #ARGV, 2 do
  redis.call('HSET', KEYS[1], ARGV[each], ARGV[each + 1])
  redis.call('ZADD', KEYS[2], ends, ARGV[each])
end
redis.call('EXPIRE', KEYS[1], ARGV[1])
redis.call('EXPIRE', KEYS[2], ARGV[1])
"""
READ_PRESENCE = """
local now = redis.call('TIME')[1]
for _, client in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now)) do
  redis.call('HDEL', KEYS[1], client)
  redis.call('ZREM', KEYS[2], client)
end
local clients = redis.call('ZRANGE', KEYS[2], 0, ARGV[1] - 1)
if #clients == 0 then return {} end
return {clients, redis.call('HMGET', KEYS[1], unpack(clients))}
"""


class RedisBroker:
    """Keeps everything in Redis.

    Args:
        client: A client of `strongback.redis.connect`, or one with a circuit breaker.
        registry: The declared channels.
        prefix: Beginning of the names of all its keys, and of its topic.
    """

    is_local = False

    def __init__(
        self, client: Redis | RedisClient, registry: ChannelRegistry, *, prefix: str = "realtime:"
    ) -> None:
        self._client = RedisClient.of(client)
        self._registry = registry
        self._prefix = prefix
        self._topic = f"{prefix}topic"
        texts = (PUBLISH, READ, RENEW, ADD_PRESENCE, READ_PRESENCE)
        self._scripts = {text: self._client.server.register_script(text) for text in texts}
        self._listener: RedisListener | None = None

    def publish(
        self,
        channels: Sequence[str],
        data: bytes,
        *,
        idempotency_key: str = "",
        info: ClientInfo | None = None,
    ) -> None:
        """Publish to channels, and add to the history of those that have one."""
        for channel in channels:
            self._publish(channel, data, idempotency_key, info)

    def history(
        self, channel: str, limit: int, since: Position | None = None, *, reverse: bool = False
    ) -> Stream:
        """Return a part of a channel's history."""
        first, last = "-", "+"
        if since is not None and reverse:
            last = str(max(min(since.offset, LAST) - 1, 0))
        elif since is not None:
            first = str(min(since.offset, LAST) + 1)
        arguments = self._reading(limit, first, last, reverse=reverse)
        epoch, offset, entries = self._run(READ, self._keys(channel), arguments)
        publications = tuple(_publication(identifier, fields) for identifier, fields in entries)
        return Stream(publications, Position(epoch.decode(), int(offset)))

    def presence(self, channel: str) -> dict[str, ClientInfo]:
        """Return the connections that are subscribed, by client id."""
        found = self._run(READ_PRESENCE, self._presence_keys(channel), [MAX_PRESENCE])
        if not found:
            return {}
        # One that is just being removed has no information any more.
        pairs = ((client, info) for client, info in zip(*found, strict=True) if info is not None)
        return {client.decode(): _read_info(info) for client, info in pairs}

    def disconnect(
        self, user_id: int, session_id: str = "", close: Close = FORCE_DISCONNECT
    ) -> None:
        """Close the connections of a user, or of one session, on every server."""
        self._send("disconnect", str(user_id), session_id, str(close.code), close.reason)

    def listen(self, receiver: Receiver) -> None:
        """Tell a server from now on what happens."""
        read = partial(_read_message, receiver)
        self._listener = RedisListener(
            self._client, [self._topic], on_message=read, on_open=receiver.receive_gap
        )
        self._listener.start()

    def is_listening(self) -> bool:
        """Whether messages arrive at present."""
        return self._listener is not None and self._listener.opened.is_set()

    def positions(self, channels: Sequence[str]) -> dict[str, Position]:
        """Return the ends of streams, and keep their epochs from being forgotten."""

        def read(server: Redis) -> list[Any]:
            with server.pipeline(transaction=False) as pipeline:
                for channel in channels:
                    arguments = self._reading(0, "-", "+", reverse=False)
                    self._scripts[READ](self._keys(channel), arguments, client=pipeline)
                return pipeline.execute()

        with _asking():
            found = self._client.call(read)
        tops = (Position(epoch.decode(), int(offset)) for epoch, offset, _ in found)
        return dict(zip(channels, tops, strict=True))

    def renew_epoch(self, channel: str, epoch: str) -> None:
        """Start a channel's stream anew if it has this epoch."""
        self._run(RENEW, self._keys(channel), [epoch])

    def add_presence(self, channels: Mapping[str, Sequence[ClientInfo]]) -> None:
        """Note for a minute who is subscribed to channels."""
        for channel, infos in channels.items():
            pairs = [part for info in infos for part in (info.client, _write_info(info))]
            keys = self._presence_keys(channel)
            self._run(ADD_PRESENCE, keys, [int(PRESENCE_TTL), *pairs])

    def remove_presence(self, channel: str, client: str) -> None:
        """Note that a connection is no longer subscribed."""
        by_client, by_end = self._presence_keys(channel)
        with _asking():
            self._client.execute("ZREM", by_end, client)
            self._client.execute("HDEL", by_client, client)

    def announce(self, channel: str, info: ClientInfo, *, has_joined: bool) -> None:
        """Tell all servers that a connection has subscribed, or unsubscribed."""
        self._send("join" if has_joined else "leave", channel, _write_info(info).decode())

    def close(self) -> None:
        """Stop listening."""
        if self._listener is not None:
            self._listener.close()

    def _publish(self, channel: str, data: bytes, key: str, info: ClientInfo | None) -> None:
        history = self._registry.history(channel)
        size, ttl = (history.size, history.ttl // MILLISECOND) if history else (0, 0)
        once_ttl = IDEMPOTENCY_TTL // MILLISECOND if key else 0
        once, topic = f"{self._prefix}once:{channel}:{key}".encode(), self._topic.encode()
        about = b"" if info is None else _write_info(info)
        epoch = uuid4().hex[:8] if history else ""
        self._run(
            PUBLISH,
            [*self._keys(channel), once, topic],
            [epoch, META_TTL // MILLISECOND, size, ttl, once_ttl, channel, about, data],
        )

    def _reading(self, limit: int, first: str, last: str, *, reverse: bool) -> list[str | int]:
        return [uuid4().hex[:8], META_TTL // MILLISECOND, limit, first, last, int(reverse)]

    def _send(self, *parts: str) -> None:
        with _asking():
            self._client.execute("PUBLISH", self._topic, "\n".join(parts))

    def _run(
        self, script: str, keys: Sequence[bytes], arguments: Sequence[Any]
    ) -> Any:  # noqa: ANN401  as redis-py
        with _asking():
            return self._client.run_script(self._scripts[script], keys, arguments)

    def _keys(self, channel: str) -> list[bytes]:
        return [f"{self._prefix}{kind}:{channel}".encode() for kind in ("meta", "stream")]

    def _presence_keys(self, channel: str) -> list[bytes]:
        return [f"{self._prefix}{kind}:{channel}".encode() for kind in ("present", "expiry")]


@contextmanager
def _asking() -> Iterator[None]:
    try:
        yield
    except RedisUnavailable as error:
        raise BrokerUnavailable(str(error)) from error


def _read_message(receiver: Receiver, message: bytes) -> None:
    kind, _, rest = message.partition(b"\n")
    if kind == b"publication":
        channel, epoch, offset, info, data = rest.split(b"\n", 4)
        publication = Publication(data, int(offset), _read_info(info) if info else None)
        receiver.receive_publication(channel.decode(), publication, epoch.decode())
    elif kind in (b"join", b"leave"):
        channel, info = rest.split(b"\n", 1)
        who = _read_info(info)
        receiver.receive_presence(channel.decode(), who, has_joined=kind == b"join")
    elif kind == b"disconnect":
        user_id, session_id, code, reason = rest.decode().split("\n", 3)
        receiver.receive_disconnect(int(user_id), session_id, Close(int(code), reason))


def _publication(identifier: bytes, fields: Sequence[bytes]) -> Publication:
    _, info, _, data = fields
    offset = int(identifier.partition(b"-")[0])
    return Publication(data, offset, _read_info(info) if info else None)


def _write_info(info: ClientInfo) -> bytes:
    connection, channel = info.conn_info.decode(), info.chan_info.decode()
    return dump([info.user, info.client, connection, channel])


def _read_info(text: bytes) -> ClientInfo:
    user, client, connection, channel = load(text)
    return ClientInfo(user, client, connection.encode(), channel.encode())
