"""The storage in Redis: bytes that all processes share, leases, and word of every removal.

Under a key is either a value or the mark of a lease; both begin with a kind and a token. So one
command, `SET key mark NX GET`, reads the value or takes the lease; deleting the key takes both
away; and a fill succeeds only where the token is still the one that it began with.
"""

from __future__ import annotations

import os
import random
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from struct import Struct
from typing import Any
from weakref import WeakSet

from strongback.cache.combiner import Combiner, Script
from strongback.cache.error import require_text
from strongback.cache.storage import BUSY, MISSING, Busy, Codec, Item, Lease, Missing
from strongback.log.setup import get_logger
from strongback.redis.client import RedisClient
from strongback.redis.error import RedisUnavailable
from strongback.redis.listener import RedisListener
from strongback.redis.wire import Command

log = get_logger(__name__)

POLL = 0.05
"""Seconds after which somebody who waits for a lease looks again, should word not have come."""
MOST_PENDING = 10_000
"""Removals remembered while Redis is away; beyond that everything is removed on its return."""
CHUNK = 1000
"""Keys of one script: Lua unpacks a few thousand at most."""
CHANNEL_WAIT = 0.5
"""Seconds that a process's first use waits for its channel to open."""

_HEAD = Struct("<B8sddd")
"""Kind, token, when it becomes stale and when it ends (seconds since 1970), cost in seconds."""
_VALUE, _ABSENT = b"VA"
_LEASE, _AWAITED = b"L", b"W"
_MARK = 9
"""Length of a lease's mark: kind and token."""
_REMOVED, _FILLED = b"x", b"f"

_FILL = Script("""
local held = redis.call('GETRANGE', KEYS[1], 0, 8)
if string.sub(held, 2) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
if ARGV[5] ~= '' then redis.call('PUBLISH', ARGV[4], ARGV[5]) end
if string.byte(held) == 87 then redis.call('PUBLISH', ARGV[4], ARGV[6]) end
return 1
""")
_WAIT = Script("""
if redis.call('GETRANGE', KEYS[1], 0, 0) == 'L' then redis.call('SETRANGE', KEYS[1], 0, 'W') end
return redis.call('SET', KEYS[1], ARGV[1], 'NX', 'GET', 'PX', ARGV[2])
""")
_RELEASE = Script("""
local held = redis.call('GETRANGE', KEYS[1], 0, 8)
if string.sub(held, 2) ~= ARGV[1] or string.find('LW', string.sub(held, 1, 1)) == nil then
  return 0
end
redis.call('DEL', KEYS[1])
if string.byte(held) == 87 then redis.call('PUBLISH', ARGV[2], ARGV[3]) end
return 1
""")
# Before an MGET in the same round trip, which then finds the value, or whose the lease is. Values
# do not pass through Lua, and where all are there this costs next to nothing.
_LEASE_ALL = Script("""
if redis.call('EXISTS', unpack(KEYS)) == #KEYS then return end
for i = 1, #KEYS do redis.call('SET', KEYS[i], ARGV[1], 'NX', 'PX', ARGV[2]) end
""")


class RedisStorage:
    """Keeps values in Redis, and processes that use the same Redis coherent.

    Redis being slow or gone is never an error: everything is then missing, and what was to be
    removed is removed on its return, before anything is read.

    Args:
        client: The connection. Needs Redis 7.0 or later.
        prefix: What the names of all its keys, and of its channel, begin with.
    """

    def __init__(self, client: RedisClient, *, prefix: str = "cache:") -> None:
        require_text("prefix", prefix)
        self._client = client
        self._prefix = prefix.encode()
        self._channel = f"{prefix}changes"
        self._origin = secrets.token_bytes(8)
        self._combiner = Combiner(client)
        self._pending: set[str] = set()
        self._unclaimed: set[tuple[str, bytes]] = set()
        """Leases, by key and token, that Redis may have given without our hearing of it."""
        self._pending_lock = threading.Lock()
        self._is_clear_pending = False
        self._awaited: dict[str, threading.Event] = {}
        self._on_remove: Callable[[Sequence[str]], None] = lambda _: None
        self._on_gap: Callable[[], None] = lambda: None
        self._listener = RedisListener(
            client,
            [self._channel],
            on_message=self._hear,
            on_open=self._open,
            on_tick=self._settle,
        )
        self._patience = 0.0
        self._unreadable: set[type[Exception]] = set()
        self.failures = 0
        """Operations that Redis did not answer, or was not asked for because it is away."""
        _storages.add(self)

    # Reading

    def get_all(self, keys: Sequence[str], codec: Codec) -> list[Item | Missing]:
        """What is kept under each key, in one round trip."""
        answers = self._ask([("GET", self._name(key)) for key in keys])
        if answers is None:
            return [MISSING] * len(keys)
        found = self._read_all(answers, codec, b"")
        return [item if type(item) is Item else MISSING for item in found]

    def acquire_all(
        self, keys: Sequence[str], codec: Codec, seconds: float
    ) -> list[Item | Lease | Busy | Missing]:
        """What is kept under each key, or else the lease to fill it, in one round trip."""
        token = _token()
        milliseconds = _milliseconds(seconds)
        names = list(map(self._name, keys))
        if len(keys) == 1 or self._client.is_cluster:
            commands: list[Command] = [
                ("SET", name, _LEASE + token, "NX", "GET", "PX", milliseconds) for name in names
            ]
        else:
            parts = [names[start : start + CHUNK] for start in range(0, len(names), CHUNK)]
            commands = []
            for part in parts:
                leases = _LEASE_ALL.call(part, _LEASE + token, milliseconds)
                commands += [leases, ("MGET", *part)]
        answers = self._ask(commands, leased=keys, token=token)
        if answers is None:
            return [MISSING] * len(keys)
        if commands[0][0] != "SET":
            answers = [data for part in answers[1::2] for data in part]
        return list(self._read_all(answers, codec, token))

    def wait(self, key: str, codec: Codec, seconds: float) -> Item | Lease | Missing:
        """Wait until the holder of the lease has filled the key, or take the lease over."""
        token = _token()
        command = _WAIT.call([self._name(key)], _LEASE + token, _milliseconds(seconds))
        deadline = time.monotonic() + 2 * seconds
        word = self._awaited.setdefault(key, threading.Event())
        try:
            while time.monotonic() < deadline:
                word.clear()
                answers = self._ask([command], leased=[key], token=token)
                if answers is None:
                    return MISSING
                (found,) = self._read_all(answers, codec, token)
                if not isinstance(found, Busy):
                    return found
                word.wait(POLL)
        finally:
            self._awaited.pop(key, None)
        return MISSING

    def claim_refresh(self, key: str, seconds: float) -> bool:
        """Whether this process is the one to refresh an item that is still there."""
        name = self._name(key) + b"!"
        answers = self._ask([("SET", name, b"", "NX", "PX", _milliseconds(seconds))])
        # Told of GET, the client hands through what Redis says: OK, or nothing.
        return answers is None or answers[0] is not None

    # Writing

    def set_all(self, items: Mapping[str, Item], codec: Codec) -> None:
        """Keep these whatever is there, and tell the other processes."""
        commands: list[Command] = []
        for key, item in items.items():
            data = self._write(item, codec)
            commands.append(("SET", self._name(key), data, "PX", _milliseconds(item.kept)))
            commands.append(self._announcement(key))
        keys = list(items)
        if self._ask(commands) is None:
            self._owe(keys)

    def fill_all(
        self, items: Mapping[str, tuple[Lease, Item]], codec: Codec, *, announce: bool = False
    ) -> set[str]:
        """Keep what is still wanted: a key that was removed since its lease was taken is not."""
        commands = [
            _FILL.call(
                [self._name(key)],
                lease.token,
                self._write(item, codec),
                _milliseconds(item.kept),
                self._channel,
                self._message(_REMOVED, key) if announce else b"",
                self._message(_FILLED, key),
            )
            for key, (lease, item) in items.items()
        ]
        answers = self._ask(commands)
        if answers is None:
            return set(items)  # nothing is known against them
        return {key for key, answer in zip(items, answers, strict=True) if answer}

    def release(self, leases: Mapping[str, Lease]) -> None:
        """Give leases back unused, because loading has failed."""
        self._ask([self._release(key, lease.token) for key, lease in leases.items()])

    def remove(self, keys: Sequence[str]) -> bool:
        """Delete these, and tell the other processes; as soon as possible if that is not now."""
        return self._do_or_owe(self._removals(keys), keys)

    def clear(self) -> None:
        """Delete every key of this storage, and tell the other processes."""
        try:
            self._clear()
        except RedisUnavailable:
            self.failures += 1
            self._is_clear_pending = True

    def count(self) -> int | None:
        """How many keys it holds, leases included; looks at every key of the database."""
        pattern = _escape(self._prefix) + b"*"
        try:
            return self._client.call(
                lambda server: sum(1 for _ in server.scan_iter(match=pattern, count=1000))
            )
        except RedisUnavailable:
            return None

    # Coherence

    def announce(self, keys: Sequence[str]) -> bool:
        """Tell the other processes to forget what they hold under these keys themselves."""
        return self._do_or_owe([self._announcement(key) for key in keys], keys)

    def listen(
        self, on_remove: Callable[[Sequence[str]], None], on_gap: Callable[[], None]
    ) -> None:
        """Report removals by other processes, and gaps in which some may have been missed."""
        self._on_remove, self._on_gap = on_remove, on_gap

    def await_channel(self) -> None:
        """Start listening in this process, unless that is done; wait a moment for it.

        What is read before the channel opens could not be kept in the process.
        """
        if self._listener.opened.is_set():
            return
        if self._listener.start():
            self._patience = time.monotonic() + CHANNEL_WAIT
        if self._client.is_available:
            self._listener.opened.wait(max(0.0, self._patience - time.monotonic()))

    def close(self) -> None:
        """Stop listening; the client stays open."""
        self._listener.close()

    def _hear(self, message: bytes) -> None:
        kind, origin, key = message[:1], message[1:9], message[9:].decode("utf-8", "surrogatepass")
        if kind == _REMOVED and origin != self._origin:
            if key:
                self._on_remove([key])
            else:
                self._on_gap()  # everything was cleared
        if (word := self._awaited.get(key)) is not None:
            word.set()

    def _open(self) -> None:
        self._settle()
        self._on_gap()

    # Removals that Redis has not heard of

    def _do_or_owe(self, commands: Sequence[Command], keys: Iterable[str]) -> bool:
        if self._ask(commands) is not None:
            return True
        self._owe(keys)
        return False

    def _owe(self, keys: Iterable[str]) -> None:
        with self._pending_lock:
            self._pending.update(keys)
            if len(self._pending) > MOST_PENDING:
                self._pending.clear()
                self._is_clear_pending = True

    def _settle(self) -> bool:
        """Do the removals that are due; say whether none is left."""
        if not self._pending and not self._is_clear_pending and not self._unclaimed:
            return True
        with self._pending_lock:
            keys, unclaimed = list(self._pending), list(self._unclaimed)
            try:
                if self._is_clear_pending:
                    self._clear()
                    self._is_clear_pending = False
                commands = self._removals(keys)
                commands += [self._release(key, token) for key, token in unclaimed]
                if commands:
                    self._combiner.run(commands)
            except RedisUnavailable:
                return False
            self._pending.clear()
            self._unclaimed.clear()
        return True

    def _clear(self) -> None:
        def delete(server: Any) -> None:  # noqa: ANN401  redis-py's client
            batch: list[bytes] = []
            for name in server.scan_iter(match=_escape(self._prefix) + b"*", count=1000):
                batch.append(name)
                if len(batch) >= 1000:  # noqa: PLR2004  as many as SCAN hands out
                    server.unlink(*batch)
                    batch.clear()
            if batch:
                server.unlink(*batch)
            server.publish(self._channel, self._message(_REMOVED, ""))

        self._client.call(delete)

    # Redis

    def _ask(
        self, commands: Sequence[Command], *, leased: Iterable[str] = (), token: bytes = b""
    ) -> list[Any] | None:
        """The answers; None where Redis does not answer, or removals are due first and fail.

        Args:
            commands: To be run in this order.
            leased: Keys of which the commands take the lease.
            token: Of these leases.
        """
        is_due = self._pending or self._is_clear_pending or self._unclaimed
        if is_due and not self._settle():
            self.failures += 1
            return None
        try:
            return self._combiner.run(commands)
        except RedisUnavailable as error:
            self.failures += 1
            if leased and error.__cause__ is not None:
                # A server that was only slow may still hand out leases that nobody knows of.
                with self._pending_lock:
                    if len(self._unclaimed) < MOST_PENDING:  # others end by themselves
                        self._unclaimed.update((key, token) for key in leased)
            return None

    def _removals(self, keys: Iterable[str]) -> list[Command]:
        commands: list[Command] = []
        for key in keys:
            commands += [("DEL", self._name(key)), self._announcement(key)]
        return commands

    def _release(self, key: str, token: bytes) -> Command:
        return _RELEASE.call([self._name(key)], token, self._channel, self._message(_FILLED, key))

    def _announcement(self, key: str) -> Command:
        return ("PUBLISH", self._channel, self._message(_REMOVED, key))

    def _message(self, kind: bytes, key: str) -> bytes:
        return kind + self._origin + key.encode("utf-8", "surrogatepass")

    def _name(self, key: str) -> bytes:
        return self._prefix + key.encode("utf-8", "surrogatepass")

    # Bytes

    def _write(self, item: Item, codec: Codec) -> bytes:
        now, token = time.time(), _token()
        kind = _ABSENT if item.value is None else _VALUE
        head = _HEAD.pack(kind, token, now + item.fresh, now + item.kept, item.cost)
        return head if item.value is None else head + codec.encode(item.value)

    def _read_all(
        self, answers: Sequence[bytes | None], codec: Codec, mark: bytes
    ) -> list[Item | Lease | Busy]:
        """What the answers are: items, and leases on what is not there.

        Args:
            answers: Of Redis.
            codec: Of the values.
            mark: The caller's own token.
        """
        now, lease, decode, size = time.time(), Lease(mark), codec.decode, _HEAD.size
        unpack, new = _HEAD.unpack_from, tuple.__new__
        found: list[Item | Lease | Busy] = []
        for data in answers:
            if data is None:
                found.append(lease)
                continue
            if len(data) == _MARK and data[:1] in (_LEASE, _AWAITED):
                found.append(lease if data[1:] == mark else BUSY)
                continue
            try:
                kind, token, stale, end, cost = unpack(data)
                value = None if kind == _ABSENT else decode(data[size:])
            except Exception as error:  # noqa: BLE001  whatever a codec raises
                self._note_unreadable(error)
                found.append(Lease(data[1:9]))  # to be replaced
                continue
            # As Item(…) does, in a third of the time.
            found.append(new(Item, (value, stale - now, end - now, cost, token)))
        return found

    def _note_unreadable(self, error: Exception) -> None:
        # Values of another version of the type, most likely: once is enough to say so.
        if type(error) not in self._unreadable:
            self._unreadable.add(type(error))
            log.warning("cache_value_unreadable", error=repr(error))

    def reset_after_fork(self) -> None:
        """Leave threads and connections of the parent process behind."""
        self._origin = secrets.token_bytes(8)
        self._combiner.reset()
        self._pending_lock = threading.Lock()
        self._awaited = {}
        self._listener.forget_parent()


def _token() -> bytes:
    # Chance enough for what lives a few minutes, and a tenth of the price of the system's.
    return random.getrandbits(64).to_bytes(8)  # tells writes apart, hides nothing


def _milliseconds(seconds: float) -> int:
    return max(1, int(seconds * 1000))


def _escape(pattern: bytes) -> bytes:
    return b"".join(b"\\" + bytes([c]) if c in b"*?[]\\" else bytes([c]) for c in pattern)


_storages: WeakSet[RedisStorage] = WeakSet()


def _forget_parent() -> None:
    for storage in _storages:
        storage.reset_after_fork()


if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
    os.register_at_fork(after_in_child=_forget_parent)
