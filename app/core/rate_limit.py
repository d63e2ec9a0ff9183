"""How often something may happen: a moving window, in this process or shared through Redis.

Any span of the rate's length holds at most the rate's amount of events. The cheaper sliding
counter keeps two numbers instead of the events' times and guesses that the earlier window's
events were spread evenly; where a limit stands against guessing passwords, a burst at the wrong
moment should not pass, and `Retry-After` should be true. The limits here are small (5 to 100), so
exact costs a few hundred bytes a key and no more time (measured: 49 µs to 45 on Redis).
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, Self

import limits
from limits.storage import RedisStorage

from app.core.redis_client import RedisClient, ScriptMissing, Server

PREFIX = "limit:"
"""What every key in Redis begins with."""


@dataclass(frozen=True, slots=True)
class Rate:
    """So many events in so many seconds."""

    amount: int
    seconds: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `20/minute`, `5 per 15 minutes`, `100/day`.

        Raises:
            ValueError: It is not of this form, or allows nothing.
        """
        item = limits.parse(text)
        if item.amount < 1 or item.get_expiry() < 1:
            raise ValueError(f"{text!r} allows nothing: remove the route instead")
        return cls(item.amount, item.get_expiry())


@dataclass(frozen=True, slots=True)
class Quota:
    """Where a key stands after it asked."""

    is_granted: bool
    """Whether the event may happen; if so, it has been counted."""
    remaining: int
    """How many more may happen now."""
    reset: float
    """Seconds until the oldest counted event leaves the window, which makes room for one."""


class Windows(Protocol):
    """The events of every key."""

    def take(self, key: str, rate: Rate) -> Quota:
        """Count one event, if the rate allows it; a refused one is not counted."""
        ...

    def give_back(self, key: str) -> None:
        """Forget the key's latest event: it turned out not to count."""
        ...


class MemoryWindows:
    """In this process.

    The library's own storage is not used: it never forgets a key and walks through all of them
    in a thread of its own, 100 times a second while requests come.

    Args:
        size: The most keys to keep; the one unused for longest makes room.
        clock: Seconds, from any start.
    """

    def __init__(self, size: int = 50_000, clock: Callable[[], float] = time.monotonic) -> None:
        self._size = size
        self._clock = clock
        self._lock = threading.Lock()
        self._events: OrderedDict[str, list[float]] = OrderedDict()

    def take(self, key: str, rate: Rate) -> Quota:
        """Count one event, if the rate allows it."""
        with self._lock:
            now, events = self._clock(), self._touch(key)
            while events and events[0] <= now - rate.seconds:
                del events[0]
            if is_granted := len(events) < rate.amount:
                events.append(now)
            return Quota(is_granted, rate.amount - len(events), events[0] + rate.seconds - now)

    def give_back(self, key: str) -> None:
        """Forget the key's latest event."""
        with self._lock:
            if events := self._events.get(key):
                del events[-1]

    def _touch(self, key: str) -> list[float]:
        events = self._events.setdefault(key, [])
        self._events.move_to_end(key)
        if len(self._events) > self._size:
            self._events.popitem(last=False)
        return events


class RedisWindows:
    """Shared by every process that uses the same Redis, by the library's two scripts.

    Both go in one message, which spares a round trip: 69 µs instead of 113.

    Args:
        client: Where. Each method raises RedisUnavailable while it does not answer.
    """

    def __init__(self, client: RedisClient) -> None:
        self._client = client
        storage = RedisStorage("redis://", connection_pool=client.server.connection_pool)
        self._scripts = (storage.lua_acquire_moving_window, storage.lua_moving_window)

    def take(self, key: str, rate: Rate) -> Quota:
        """Count one event, if the rate allows it."""
        return self._client.call(lambda server: self._take(server, PREFIX + key, rate))

    def give_back(self, key: str) -> None:
        """Forget the key's latest event."""
        self._client.call(lambda server: server.lpop(PREFIX + key))

    def _take(self, server: Server, key: str, rate: Rate) -> Quota:
        now = time.time()
        granted, window = self._run(server, key, rate, now)
        oldest, count = (float(window[0]), int(window[1])) if window else (now, 0)
        # The scripts round times to tenths of a millisecond.
        reset = min(max(0.0, oldest + rate.seconds - now), rate.seconds)
        return Quota(bool(granted), max(0, rate.amount - count), reset)

    def _run(self, server: Server, key: str, rate: Rate, now: float) -> list[Any]:
        acquire, read = self._scripts
        pipe = server.pipeline(transaction=False)
        pipe.evalsha(acquire.sha, 1, key, now, rate.amount, rate.seconds, 1)
        pipe.evalsha(read.sha, 1, key, now - rate.seconds, rate.amount)
        try:
            return pipe.execute()
        except ScriptMissing:
            for script in self._scripts:
                server.script_load(script.script)
            return self._run(server, key, rate, now)
