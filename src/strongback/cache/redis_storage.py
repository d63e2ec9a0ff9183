"""The storage in Redis: bytes that all processes share, leases, and messages about removals."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import compress
from typing import TYPE_CHECKING, Any, cast

from strongback.cache import redis_record as record
from strongback.cache.error import require_text
from strongback.cache.storage import BUSY, MISSING, Busy, Codec, Item, Lease, Missing, batched
from strongback.fork import reset_in_children
from strongback.log.setup import get_logger
from strongback.redis.client import RedisClient
from strongback.redis.error import RedisUnavailable
from strongback.redis.listener import RedisListener

if TYPE_CHECKING:
    from redis import Redis
    from redis.commands.core import Script

log = get_logger(__name__)

POLL = 0.05
"""Seconds after which a waiter for a lease looks again without a message."""
MOST_PENDING = 10_000
"""Removals remembered while Redis is away; beyond that everything is removed on its return."""
CHUNK = 1000
"""Keys of one script: the server does nothing else while it runs."""
CHANNEL_WAIT = 0.5
"""Seconds that a process's first use waits for its channel to open."""

_REMOVED, _FILLED = b"x", b"f"


class RedisStorage:
    """Keeps values in Redis, and processes that use the same Redis coherent.

    A Redis that is slow or away is never an error: everything is then missing, and removals are
    made up for on its return, before anything is read.

    Args:
        client: A redis-py client with time-outs, no retries and a pool that waits, as
            `strongback.redis.connect` makes it; or a `RedisClient`, where the rest of the
            application shares its circuit breaker. Needs Redis 7.0 or later.
        prefix: Beginning of the names of all its keys, and of its channel.

    Raises:
        CacheMisuse: The prefix is empty.
        RedisMisuse: The client would keep callers waiting; the message says what to write.
    """

    def __init__(self, client: Redis | RedisClient, *, prefix: str = "cache:") -> None:
        require_text("prefix", prefix)
        self._client = RedisClient.of(client)
        self._owns_client = self._client is not client
        self._prefix = prefix.encode()
        self._channel = f"{prefix}changes"
        script = self._client.server.register_script
        self._acquire, self._await = script(record.ACQUIRE), script(record.WAIT)
        self._fill, self._give_back = script(record.FILL), script(record.RELEASE)
        self._delete = script(record.REMOVE)
        self._pending: set[str] = set()
        self._unclaimed: dict[str, bytes] = {}
        """Tokens by key of leases that Redis may have given in a response that came too late."""
        self._is_clear_pending = False
        self._on_remove: Callable[[Sequence[str]], None] = lambda _: None
        self._on_gap: Callable[[], None] = lambda: None
        self._listener = RedisListener(
            self._client,
            [self._channel],
            on_message=self._hear,
            on_open=self._open,
            on_tick=self._settle,
        )
        self._patience = 0.0
        self._unreadable: set[type[Exception]] = set()
        self.failures = 0
        """Operations that Redis did not answer, or that were not sent because it is away."""
        self.reset_after_fork()
        reset_in_children(self)

    # Reading

    def get_all(self, keys: Sequence[str], codec: Codec) -> list[Item | Missing]:
        """Return what is kept under each key, in one round trip."""
        names = self._names(keys)
        answers = self._ask(lambda: self._client.execute("MGET", *names))
        if answers is MISSING:
            return [MISSING] * len(keys)
        return cast(
            "list[Item | Missing]", record.read_all(answers, codec, b"", self._note_unreadable)
        )

    def acquire_all(
        self, keys: Sequence[str], codec: Codec, seconds: float
    ) -> list[Item | Lease | Busy | Missing]:
        """Return what is kept under each key, or else the lease to fill it.

        One key costs one round trip. Several cost one where all are there, and another one for the
        leases of those that are not.
        """
        token, milliseconds = record.new_token(), int(seconds * 1000)
        mark = record.LEASE + token
        if len(keys) == 1:
            name = self._prefix + keys[0].encode("utf-8", "surrogatepass")
            command = ("SET", name, mark, "NX", "GET", "PX", milliseconds)
            # Told of GET, redis-py does not take the response for a yes or no.
            answer = self._ask(lambda: self._client.execute(*command, get=True), {keys[0]: token})
            if answer is MISSING:
                return [MISSING]
            return record.read_all([answer], codec, token, self._note_unreadable)
        names = self._names(keys)
        answers = self._ask(lambda: self._client.execute("MGET", *names))
        if answers is MISSING:
            return [MISSING] * len(keys)
        absent = [place for place, data in enumerate(answers) if data is None]
        for part in batched(absent, CHUNK):
            leases = dict.fromkeys([keys[place] for place in part], token)
            leased = self._run(
                self._acquire, [names[place] for place in part], [mark, milliseconds], leases
            )
            if leased is MISSING:
                return [MISSING] * len(keys)
            for place, data in zip(part, leased, strict=True):
                answers[place] = data
        return record.read_all(answers, codec, token, self._note_unreadable)

    def wait(self, key: str, codec: Codec, seconds: float) -> Item | Lease | Missing:
        """Wait until the holder of the lease has filled the key, or take the lease over."""
        token = record.new_token()
        name, arguments = self._name(key), (record.LEASE + token, _milliseconds(seconds))
        deadline = time.monotonic() + 2 * seconds
        word = self._awaited.setdefault(key, threading.Event())
        try:
            while time.monotonic() < deadline:
                word.clear()
                answer: bytes | Missing | None = self._run(
                    self._await, [name], arguments, {key: token}
                )
                if answer is MISSING:
                    return MISSING
                found = record.read_all([answer], codec, token, self._note_unreadable)[0]
                if found is not BUSY:
                    return found
                word.wait(POLL)
        finally:
            self._awaited.pop(key, None)
        return MISSING

    def claim_refresh(self, key: str, seconds: float) -> bool:
        """Tell whether this process is the one to refresh an item that is still there."""
        name, milliseconds = self._name(key) + b"!", _milliseconds(seconds)
        answer = self._ask(lambda: self._client.execute("SET", name, b"", "NX", "PX", milliseconds))
        return answer is not None  # without Redis each process refreshes for itself

    # Writing

    def set_all(self, items: Mapping[str, Item], codec: Codec) -> None:
        """Keep these in place of what is there, and tell the other processes."""
        data = {key: record.write(item, codec) for key, item in items.items()}

        def write(redis: Redis) -> None:
            with redis.pipeline(transaction=False) as pipe:
                for key, item in items.items():
                    pipe.set(self._name(key), data[key], px=_milliseconds(item.kept))
                    pipe.publish(self._channel, self._message(_REMOVED, key))
                pipe.execute()

        if self._ask(lambda: self._client.call(write)) is MISSING:
            self._owe(items)

    def fill_all(self, items: Mapping[str, tuple[Lease, Item]], codec: Codec) -> set[str]:
        """Keep what is still wanted: a key that was removed since its lease was taken is not."""
        filled: list[str] = []
        for part in batched(items, CHUNK):
            arguments: list[str | bytes | int] = [self._channel]
            for key in part:
                lease, item = items[key]
                data, lifetime = record.write(item, codec), _milliseconds(item.kept)
                arguments += (lease.token, data, lifetime, self._message(_FILLED, key))
            answers = self._run(self._fill, self._names(part), arguments)
            # Without Redis nothing is known against them.
            filled += part if answers is MISSING else compress(part, answers)
        return set(filled)

    def release(self, leases: Mapping[str, Lease]) -> None:
        """Give leases back unused, because loading has failed."""
        tokens = {key: lease.token for key, lease in leases.items()}
        self._ask(lambda: self._release(tokens))

    def remove(self, keys: Sequence[str]) -> bool:
        """Delete these and tell the other processes, now or as soon as Redis is back."""
        return self._do_or_owe(lambda: self._remove(keys), keys)

    def clear(self) -> None:
        """Delete every key of this storage, and tell the other processes."""
        if self._ask(self._clear) is MISSING:
            self._is_clear_pending = True

    def count(self) -> int | None:
        """Count the keys, leases included; looks at every key of the database."""
        pattern = _escape(self._prefix) + b"*"
        try:
            return self._client.call(
                lambda redis: sum(1 for _ in redis.scan_iter(match=pattern, count=1000))
            )
        except RedisUnavailable:
            return None

    # Coherence

    def announce(self, keys: Sequence[str]) -> bool:
        """Tell the other processes to forget what they hold under these keys themselves."""

        def publish() -> None:
            for key in keys:
                self._client.execute("PUBLISH", self._channel, self._message(_REMOVED, key))

        return self._do_or_owe(publish, keys)

    def listen(
        self, on_remove: Callable[[Sequence[str]], None], on_gap: Callable[[], None]
    ) -> None:
        """Report removals by other processes, and gaps in which some may have been missed."""
        self._on_remove, self._on_gap = on_remove, on_gap

    def await_channel(self) -> None:
        """Start listening in this process, unless that is done; wait a moment for it.

        Values that are read before the channel opens are not kept in the process.
        """
        if self._listener.opened.is_set():
            return
        if self._listener.start():
            self._patience = time.monotonic() + CHANNEL_WAIT
        if self._client.is_available:
            self._listener.opened.wait(max(0.0, self._patience - time.monotonic()))

    def close(self) -> None:
        """Stop listening; a `RedisClient` stays open."""
        self._listener.close()
        if self._owns_client:
            self._client.close()

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

    # Removals while Redis is away

    def _do_or_owe(self, work: Callable[[], object], keys: Iterable[str]) -> bool:
        if self._ask(work) is not MISSING:
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
        """Do the removals that are due; tell whether none is left."""
        if not self._pending and not self._is_clear_pending and not self._unclaimed:
            return True
        with self._pending_lock:
            try:
                if self._is_clear_pending:
                    self._clear()
                    self._is_clear_pending = False
                if self._pending:
                    self._remove(list(self._pending))
                if self._unclaimed:
                    self._release(self._unclaimed)
            except RedisUnavailable:
                return False
            self._pending.clear()
            self._unclaimed.clear()
        return True

    def _clear(self) -> None:
        def delete(redis: Redis) -> None:
            names = redis.scan_iter(match=_escape(self._prefix) + b"*", count=CHUNK)
            for part in batched(names, CHUNK):
                redis.unlink(*part)
            redis.publish(self._channel, self._message(_REMOVED, ""))

        self._client.call(delete)

    # Redis

    def _ask(
        self, work: Callable[[], Any], leases: Mapping[str, bytes] | None = None
    ) -> Any:  # noqa: ANN401  as redis-py
        """Run a command; `MISSING` where Redis does not answer, or removals are due and fail.

        Args:
            work: Runs the command.
            leases: Tokens, by key, of the leases that the command takes.
        """
        is_due = self._pending or self._is_clear_pending or self._unclaimed
        if is_due and not self._settle():
            self.failures += 1
            return MISSING
        try:
            return work()
        except RedisUnavailable as error:
            self.failures += 1
            if leases and error.__cause__ is not None:
                # A server that was only slow may still hand out leases that nobody knows of.
                with self._pending_lock:
                    if len(self._unclaimed) < MOST_PENDING:  # others end by themselves
                        self._unclaimed.update(leases)
            return MISSING

    def _run(
        self,
        script: Script,
        names: Sequence[bytes],
        arguments: Sequence[str | bytes | int],
        leases: Mapping[str, bytes] | None = None,
    ) -> Any:  # noqa: ANN401  as redis-py
        return self._ask(lambda: self._client.run_script(script, names, arguments), leases)

    def _remove(self, keys: Sequence[str]) -> None:
        for part in batched(keys, CHUNK):
            messages = [self._message(_REMOVED, key) for key in part]
            self._client.run_script(self._delete, self._names(part), [self._channel, *messages])

    def _release(self, tokens: Mapping[str, bytes]) -> None:
        for part in batched(tokens.items(), CHUNK):
            arguments: list[str | bytes] = [self._channel]
            for key, token in part:
                arguments += (token, self._message(_FILLED, key))
            self._client.run_script(
                self._give_back, self._names([key for key, _ in part]), arguments
            )

    def _message(self, kind: bytes, key: str) -> bytes:
        return kind + self._origin + key.encode("utf-8", "surrogatepass")

    def _name(self, key: str) -> bytes:
        return self._prefix + key.encode("utf-8", "surrogatepass")

    def _names(self, keys: Sequence[str]) -> list[bytes]:
        prefix = self._prefix
        return [prefix + key.encode("utf-8", "surrogatepass") for key in keys]

    def _note_unreadable(self, error: Exception) -> None:
        # Values of another version of the type, most likely: once is enough to say so.
        if type(error) not in self._unreadable:
            self._unreadable.add(type(error))
            log.warning("cache_value_unreadable", error=repr(error))

    def reset_after_fork(self) -> None:
        """Forget the parent's threads; also sets up the first state."""
        self._origin = secrets.token_bytes(8)
        self._pending_lock = threading.Lock()
        self._awaited: dict[str, threading.Event] = {}
        self._listener.forget_parent()


def _milliseconds(seconds: float) -> int:
    return max(1, int(seconds * 1000))


def _escape(pattern: bytes) -> bytes:
    return b"".join(b"\\" + bytes([c]) if c in b"*?[]\\" else bytes([c]) for c in pattern)
