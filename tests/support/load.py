"""Clients that keep asking while a test does something to the server."""

from __future__ import annotations

import http.client
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

TIMEOUT = 30


@dataclass
class Answer:
    """What came of one request."""

    at: float
    """When it was sent, by the monotonic clock."""
    seconds: float
    status: int
    """0 where there was no answer."""
    body: bytes
    headers: Mapping[str, str]
    error: str = ""


@dataclass
class Load:
    """Every answer, in no particular order."""

    answers: list[Answer] = field(default_factory=list)

    @property
    def statuses(self) -> Counter[int | str]:
        """How often each status came; what failed otherwise by its name."""
        return Counter(answer.status or answer.error for answer in self.answers)

    def percentile(self, share: float) -> float:
        """Seconds within which this share of the requests was answered."""
        durations = sorted(answer.seconds for answer in self.answers)
        return durations[min(len(durations) - 1, int(len(durations) * share))]

    def last_failure(self) -> float:
        """When the last request was sent that got no 2xx; 0 if all did."""
        return max((a.at for a in self.answers if not 200 <= a.status < 300), default=0.0)


@dataclass(frozen=True)
class Ask:
    """A request that is sent over and over."""

    path: str = "/"
    method: str = "GET"
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


class Client:
    """One connection that is kept alive; nothing is sent twice.

    It closes and opens its connection only where the server has announced the end of it.
    """

    def __init__(self, port: int) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)

    def send(self, ask: Ask) -> Answer:
        """Send one request and read the whole answer."""
        started = time.monotonic()
        try:
            self.connection.request(ask.method, ask.path, ask.body, dict(ask.headers))
            response = self.connection.getresponse()
            body = response.read()
        except (OSError, http.client.HTTPException) as error:
            self.connection.close()
            return Answer(started, time.monotonic() - started, 0, b"", {}, type(error).__name__)
        headers = {name.lower(): value for name, value in response.getheaders()}
        return Answer(started, time.monotonic() - started, response.status, body, headers)

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()


@contextmanager
def under_load(
    port: int,
    asks: list[Ask],
    *,
    clients: int = 16,
    rate: float | None = None,
    turn: Callable[[Ask, int], Ask] = lambda ask, _: ask,
) -> Iterator[Load]:
    """Keep asking while the block runs, each client on one connection.

    Args:
        port: Where.
        asks: The requests; client number n sends the n-th of them, over and over.
        clients: How many at a time.
        rate: Requests a second of all clients together; without it as fast as answers come.
        turn: Varies a request by its number, where each has to be another.
    """
    load, stop, numbers = Load(), threading.Event(), iter(range(10**9))
    pause = clients / rate if rate else 0.0

    def run(ask: Ask) -> None:
        client = Client(port)
        due = time.monotonic()
        while not stop.is_set():
            load.answers.append(client.send(turn(ask, next(numbers))))
            due += pause
            stop.wait(max(0.0, due - time.monotonic()) if pause else 0.0)
        client.close()

    threads = [
        threading.Thread(target=run, args=(asks[index % len(asks)],)) for index in range(clients)
    ]
    for thread in threads:
        thread.start()
    try:
        yield load
    finally:
        stop.set()
        for thread in threads:
            thread.join()
