"""Everybody in turns, each in a process of its own, all on one Redis server."""

from __future__ import annotations

import os
import sys
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from redis import Redis

from benchmarks.cache.contender import CONTENDERS
from benchmarks.http.child import Child

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

HITS = {
    "local_get": ("hits", 5_000),
    "local_plain": ("hits", 5_000),
    "local_call": ("hits", 5_000),
}
TRIPS = {
    "redis_get": ("trips", 300),
    "redis_typed": ("trips", 300),
    "redis_call": ("misses", 200),
    "redis_many": ("batches", 40),
    "redis_many_typed": ("batches", 40),
}
"""Method of a peer, how it is measured, and how many calls a round has."""
THREADS = 8
THREAD_CALLS = 10_000
CROWD = 200
PROCESSES = 4

Samples = dict[str, dict[str, list[float]]]
"""Nanoseconds by contender, then by method, one for each round."""


class Stage:
    """The contenders' processes and the Redis server between them."""

    def __init__(self, port: int, pythons: dict[str, Path]) -> None:
        self.port = port
        self._pythons = pythons
        self.redis = Redis(port=port)

    @contextmanager
    def children(self, names: Iterable[str]) -> Iterator[dict[str, Child]]:
        with ExitStack() as stack:
            yield {name: stack.enter_context(self.child(name)) for name in names}

    def child(self, name: str) -> Child:
        return Child(
            "benchmarks.cache.worker",
            name,
            str(self.port),
            env={**os.environ, "PYTHONHASHSEED": "0"},
            python=str(self._pythons.get(name, sys.executable)),
        )

    def reads(self) -> int:
        """Keys whose values were asked for since the server's last reset, by whatever command.

        The server counts every key that it looks up; a fill of Strongback's looks at the first
        bytes (GETRANGE) to see that nobody has removed the key, which is no read of a value.
        """
        stats: Any = self.redis.info("stats")
        commands: Any = self.redis.info("commandstats")
        looks = commands.get("cmdstat_getrange", {}).get("calls", 0)
        return int(stats["keyspace_hits"]) + int(stats["keyspace_misses"]) - int(looks)


def speed(stage: Stage, names: Iterable[str], rounds: int, tick: Callable[[], None]) -> Samples:
    """Hits, misses and batches; a figure of 8 threads in calls a second beside them."""
    with stage.children(names) as children:
        has = {}
        for name, child in children.items():
            has[name] = child.ask(kind="start")["has"]
            tick()
        samples: Samples = {name: {} for name in children}
        # Redis apart from the rest: a busy machine lets a process that has just computed for a
        # while wait for its turn, and that would be in the time of its next trips.
        for methods in (HITS, TRIPS):
            for _ in range(rounds):
                for method, (kind, count) in methods.items():
                    for name in children:
                        if method in has[name]:
                            spent = children[name].ask(kind=kind, name=method, count=count)
                            samples[name].setdefault(method, []).append(spent)
                tick()
        for _ in range(max(1, rounds // 3)):
            for name in children:
                if "local_call" in has[name]:
                    calls = {"callers": THREADS, "count": THREAD_CALLS}
                    rate = children[name].ask(kind="rate", name="local_call", **calls)
                    samples[name].setdefault("threads", []).append(rate)
            tick()
    return samples


def memory(stage: Stage, names: Iterable[str], tick: Callable[[], None]) -> dict[str, float]:
    """MB for 100,000 entries."""
    found = {}
    for name in names:
        with stage.child(name) as child:
            if "local_set" in child.ask(kind="start")["has"]:
                found[name] = child.ask(kind="memory")
        tick()
    return found


def stampede(
    stage: Stage, names: Iterable[str], rounds: int, tick: Callable[[], None]
) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """200 callers of one process, in memory and on Redis; then 4 processes of 50 callers each."""
    found: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for name in names:
        with ExitStack() as stack:
            children = [stack.enter_context(stage.child(name)) for _ in range(PROCESSES)]
            started = [child.ask(kind="start") for child in children]
            cases = found[name] = {}
            for number in range(rounds):
                for method, crowd in (
                    ("slow_local", children[:1]),
                    ("slow_redis", children[:1]),
                    ("slow_redis", children),
                ):
                    if method in started[0]["has"]:
                        case = "cluster" if len(crowd) > 1 else method
                        key = number * 10 + len(crowd)
                        cases.setdefault(case, []).append(together(crowd, method, key))
            if not cases:
                del found[name]
        tick()
    return found


def together(children: list[Child], method: str, number: int) -> dict[str, Any]:
    """One crowd, spread over the processes, that starts at one moment."""
    at = time.time() + 0.5
    for child in children:
        callers = CROWD // len(children)
        child.tell(kind="stampede", name=method, number=number, callers=callers, at=at)
    answers = [child.hear() for child in children]
    return {
        "loads": sum(answer["loads"] for answer in answers),
        "seconds": max(answer["seconds"] for answer in answers),
        "errors": sum(answer["errors"] for answer in answers),
        "error": next((answer["error"] for answer in answers if answer["error"]), ""),
    }


def trace(
    stage: Stage, names: Iterable[str], count: int, callers: int, tick: Callable[[], None]
) -> dict[str, dict[str, Any]]:
    """cacheme's trace; the Redis server itself counts what it was asked."""
    found = {}
    for name in names:
        for method in ("traced", "chained"):
            with stage.child(name) as child:
                if method not in child.ask(kind="start")["has"]:
                    continue
                stage.redis.flushall()
                stage.redis.config_resetstat()
                run = child.ask(kind="trace", name=method, count=count, callers=callers)
                run["reads"] = stage.reads()
                title = CONTENDERS[name].title
                found[f"{title}, local + Redis" if method == "chained" else f"{title}, Redis"] = run
        tick()
    return found
