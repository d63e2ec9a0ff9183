"""Redis killed, and frozen, under the whole application at 100 requests a second."""

from __future__ import annotations

import http.client
import json
import os
import secrets
import sys
import threading
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

from app.core.config import Settings
from benchmarks.http.child import free_port, server
from benchmarks.http.report import Aim

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from strongback.testing.redis import RedisServer

RATE = 100
"""Requests a second."""
CLIENTS = 40
"""So many that one slow answer delays no other request."""
PATIENCE = 10.0
"""Seconds after which a request counts as failed."""
BEFORE = 8.0
"""Seconds of undisturbed traffic before and after each outage."""
BOUND = 0.3
"""Seconds within which reads are answered, at the 99th percentile, while Redis is away."""
RECOVERY = 5.0
"""Seconds after which all is as before."""
START = 180
"""Seconds that the application may take to start and to import the demo's articles."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One request: when it was due, how long its answer took from then on, and what it was."""

    due: float
    seconds: float
    status: int


def run(redis: RedisServer, folder: Path, seconds: float) -> Iterator[tuple[str, list[Aim]]]:
    """Kill it, and bring it back empty; then freeze it, and let it go on."""
    with _application(redis, folder) as port:
        load = Load(port)
        load.run(4)  # caches, pools and threads come to be
        for name, trouble in (("killed", _killed), ("frozen", _frozen)):
            before = load.run(BEFORE)
            with trouble(redis):
                during = load.run(seconds)
            after = load.run(RECOVERY + BEFORE)
            yield _judge(name, seconds, before, during, after)


@contextmanager
def _application(redis: RedisServer, folder: Path) -> Iterator[int]:
    """`flask serve` on a folder of its own, with the documentation as articles."""
    port = free_port()
    ours = {name.upper() for name in Settings.model_fields}
    env = {name: value for name, value in os.environ.items() if name.upper() not in ours} | {
        "APP_ENV": "test",
        "APP_SECRET_KEY": secrets.token_urlsafe(48),
        "APP_VAR_DIR": str(folder),
        "REDIS_URL": redis.url,
        "WEB_HOST": "127.0.0.1",
        "WEB_PORT": str(port),
        "WEB_WORKERS": "1",
        "WEB_THREADS": "16",
        "WEB_RATE_LIMITS": "false",
        "LOG_FORMAT": "json",
    }
    command = [sys.executable, "-m", "flask", "--app", "app.main", "serve", "--demo"]
    with server(command, port, env, START):
        _await_articles(port)
        yield port


def _await_articles(port: int) -> None:
    deadline = time.monotonic() + START
    while time.monotonic() < deadline:
        if _request(port, "/readyz")[0] == 200 and _slugs(port):
            return
        time.sleep(0.2)
    raise SystemExit("the application did not start in time")


def _slugs(port: int) -> list[str]:
    status, body = _request(port, "/api/v1/articles?page_size=50")
    return [item["slug"] for item in json.loads(body)["items"]] if status == 200 else []


def _request(port: int, path: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read()
    except (OSError, http.client.HTTPException):
        return 0, b""
    finally:
        connection.close()


class Load:
    """Open load: requests are due at a rate, however long the answers take."""

    def __init__(self, port: int) -> None:
        self._port = port
        slugs = _slugs(port)
        paths = [f"/api/v1/articles/{slug}" for slug in slugs]
        paths += [f"/api/v1/articles/{slug}/comments" for slug in slugs[:10]]
        self._paths = [*paths, "/api/v1/articles", "/api/v1/articles?page=2"]

    def run(self, seconds: float) -> list[Answer]:
        """Ask for so long; the answers come in the order in which their requests were due."""
        answers: list[Answer] = []
        started, numbers, lock = time.monotonic(), count(), threading.Lock()

        def ask() -> None:
            while True:
                with lock:
                    number = next(numbers)
                if number >= seconds * RATE:
                    return
                due = started + number / RATE
                time.sleep(max(0.0, due - time.monotonic()))
                status, _ = _request(self._port, self._paths[number % len(self._paths)])
                answers.append(Answer(due, time.monotonic() - due, status))

        clients = [threading.Thread(target=ask) for _ in range(CLIENTS)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        return sorted(answers, key=lambda answer: answer.due)


@contextmanager
def _killed(redis: RedisServer) -> Iterator[None]:
    redis.kill()
    try:
        yield
    finally:
        redis.start()


@contextmanager
def _frozen(redis: RedisServer) -> Iterator[None]:
    with redis.frozen():
        yield


def _judge(
    name: str, seconds: float, before: list[Answer], during: list[Answer], after: list[Answer]
) -> tuple[str, list[Aim]]:
    errors = [answer for answer in [*during, *after] if answer.status != 200]
    usual, away = _p99(before), _p99(during)
    recovery = _recovery(after, usual)
    kinds = dict(Counter(answer.status for answer in errors))
    told = (
        f"Redis {name} for {seconds:.0f} s: {len(during):,} requests, p99 before"
        f" {usual * 1000:.0f} ms, while away {away * 1000:.0f} ms (longest"
        f" {max(answer.seconds for answer in during) * 1000:.0f} ms), back to normal after"
        f" {recovery:.1f} s; errors {kinds or 'none'}"
    )
    return told, [
        Aim(f"Redis {name}: requests that fail", len(errors), 0, ""),
        Aim(f"Redis {name}: p99 while it is away", away, BOUND, " s"),
        Aim(f"Redis {name}: time until back to normal", recovery, RECOVERY, " s"),
    ]


def _recovery(after: list[Answer], usual: float) -> float:
    """Seconds until the slowest answers of three seconds in a row are what they were before.

    Twice the usual p99, and 50 ms at least, is as usual: the slowest of 100 requests is a matter
    of what else the machine does.
    """
    start, limit = after[0].due, max(2 * usual, 0.05)
    seconds: dict[int, list[Answer]] = {}
    for answer in after:
        seconds.setdefault(int(answer.due - start), []).append(answer)
    is_usual = [_p95(seconds[second]) <= limit for second in sorted(seconds)]
    for second in range(len(is_usual) - 2):
        if all(is_usual[second : second + 3]):
            return float(second)
    return float("inf")


def _p99(answers: list[Answer]) -> float:
    return _at(answers, 0.99)


def _p95(answers: list[Answer]) -> float:
    return _at(answers, 0.95)


def _at(answers: list[Answer], share: float) -> float:
    ordered = sorted(answer.seconds for answer in answers)
    return ordered[int(len(ordered) * share)]
