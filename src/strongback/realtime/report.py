"""What the servers do: a row for each process, for metrics, `/readyz` and `flask realtime info`."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from operator import attrgetter
from typing import TYPE_CHECKING

from strongback.exceptions import StrongbackError
from strongback.log.setup import get_logger
from strongback.redis.error import RedisUnavailable
from strongback.web.metrics import Gauge

if TYPE_CHECKING:
    from strongback.realtime.server import Snapshot
    from strongback.redis import RedisClient

log = get_logger(__name__)

INTERVAL = 2.0
"""Seconds between two rows of a process; rates are those of the time in between."""
STALE = 10.0
"""Seconds after which a row counts no more: its process has died."""
KEY = "strongback:realtime:processes"
"""Name of the hash with the rows of all processes."""


@dataclass(frozen=True, slots=True)
class Row:
    """What a process does."""

    process: str
    """Host and id of the process."""
    connections: int
    channels: int
    subscriptions: int
    received: float
    """Publications a second from the broker."""
    sent: float
    """Publications a second to clients."""
    at: float
    """When it was written, in seconds since 1970."""


class NotListening(StrongbackError):
    """The server hears nothing from the broker."""


class Report:
    """Writes this process's row, and reads those of all, which Redis keeps; this one without.

    `alive` is called with each row, while the server hears its broker.
    """

    def __init__(self, redis: RedisClient | None, alive: Callable[[], object]) -> None:
        self._snapshot: Callable[[], Snapshot] | None = None
        self._redis = redis
        self._alive = alive
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._write_on, name="realtime-report", daemon=True)
        self._before: tuple[float, Snapshot] | None = None
        self._row: Row | None = None

    def start(self, snapshot: Callable[[], Snapshot]) -> None:
        """Write rows of these numbers from now on."""
        self._snapshot = snapshot
        self._before = time.monotonic(), snapshot()
        self._thread.start()

    def stop(self) -> None:
        """Remove the row."""
        self._stopped.set()
        self._thread.join()
        self._snapshot = None
        if self._redis is not None and self._row is not None:
            with suppress(RedisUnavailable):
                self._redis.execute("HDEL", KEY, self._row.process)

    def rows(self) -> list[Row]:
        """The rows of all processes, or `RedisUnavailable`; of this one where Redis is not set."""
        if self._redis is None:
            return [self._measure(self._snapshot())] if self._snapshot else []
        written, now = self._redis.execute("HVALS", KEY), time.time()
        found = [Row(**json.loads(each)) for each in written]
        for row in found:
            if now - row.at > STALE:
                self._redis.execute("HDEL", KEY, row.process)
        return sorted((row for row in found if now - row.at <= STALE), key=attrgetter("process"))

    def figures(self) -> dict[str, float]:
        """What all processes do, for `/readyz`; `NotListening` if this one hears nothing."""
        if self._snapshot is not None and not self._snapshot().is_listening:
            raise NotListening("the realtime server hears nothing from Redis")
        return totals(self.rows())

    def gauges(self) -> Iterator[Gauge]:
        """What all processes do together, for `/metrics`; nothing while Redis does not answer."""
        try:
            figures = totals(self.rows())
        except RedisUnavailable as error:
            log.warning("realtime_figures_unavailable", error=type(error).__name__)
            return
        for name, value in figures.items():
            yield Gauge(f"realtime_{name}", _HELP[name], value)

    def _write_on(self) -> None:
        while self._snapshot is not None and not self._stopped.is_set():
            counted = self._snapshot()
            self._row = self._measure(counted)
            self._before = time.monotonic(), counted
            if counted.is_listening:
                self._alive()
            if self._redis is not None:
                with suppress(RedisUnavailable):  # the next one will tell
                    row = json.dumps(asdict(self._row)).encode()
                    self._redis.execute("HSET", KEY, self._row.process, row)
            self._stopped.wait(INTERVAL)

    def _measure(self, counted: Snapshot) -> Row:
        since, before = self._before or (time.monotonic() - INTERVAL, counted)
        seconds = max(time.monotonic() - since, 0.001)
        return Row(
            f"{socket.gethostname()}:{os.getpid()}",
            counted.connections,
            counted.channels,
            counted.subscriptions,
            received=round((counted.received - before.received) / seconds, 1),
            sent=round((counted.sent - before.sent) / seconds, 1),
            at=time.time(),
        )


_HELP = {
    "processes": "Processes that serve WebSockets.",
    "connections": "Open WebSockets.",
    "channels": "Channels with subscribers, added up over the processes.",
    "subscriptions": "Subscriptions of all connections.",
    "received_per_second": "Publications a second from the broker, added up over the processes.",
    "sent_per_second": "Publications a second to clients.",
}


def totals(rows: Sequence[Row]) -> dict[str, float]:
    """What the processes do together."""
    columns = {name: name.removesuffix("_per_second") for name in _HELP if name != "processes"}
    sums = {name: sum(getattr(row, column) for row in rows) for name, column in columns.items()}
    return {"processes": len(rows), **{name: round(value, 1) for name, value in sums.items()}}
