"""An hour of expiring entries in a minute: nothing may be left behind."""

from __future__ import annotations

import ctypes
import gc
import os
import random
import sys
import threading
import time
from collections import Counter
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from benchmarks.http.child import Child
from benchmarks.http.report import Aim
from benchmarks.question import serve_questions
from strongback.cache import LocalStorage, Manager, Node, RedisStorage
from strongback.redis.client import RedisClient, connect

if TYPE_CHECKING:
    from collections.abc import Iterator

HOUR = 3600
THREADS = 8
REQUESTS = 300_000
"""What 83 requests a second are in an hour."""
SAMPLES = 24
SIZE = 2_000
"""Entries of the local storage: full after the first minutes of the hour."""
POPULAR, POPULAR_SHARE = 500, 0.6
FAILING, ABSENT = 0.01, 0.05
"""Shares of the keys whose loader raises, and that have no value."""
OURS = ("strongback.cache", "strongback.redis", "threading")
"""Modules whose objects are counted."""


class LoadFailed(Exception):
    """What a loader may raise."""


class LocalNode(Node[dict[str, Any]]):
    """Local storage alone; an hour's lifetimes of one to five minutes, at the speed of the run."""

    storages: ClassVar = ["local"]
    ttl: ClassVar[timedelta] = timedelta(seconds=1)
    absent_ttl: ClassVar[timedelta] = timedelta(milliseconds=200)
    stale: ClassVar[timedelta] = timedelta(milliseconds=300)
    lease: ClassVar[timedelta] = timedelta(seconds=2)

    def __init__(self, number: int) -> None:
        self.number = number

    def key(self) -> str:
        return str(self.number)

    def load(self) -> dict[str, Any] | None:
        fate = (self.number * 7919 % 10_000) / 10_000
        if fate < FAILING:
            raise LoadFailed
        if fate < FAILING + ABSENT:
            return None
        return {"number": self.number, "text": "x" * 200}


class ChainNode(LocalNode):
    """Both storages."""

    storages: ClassVar = [{"storage": "local", "ttl": timedelta(seconds=1)}, "redis"]
    ttl: ClassVar[timedelta] = timedelta(seconds=2)


class Traffic:
    """Eight threads that read, write and remove, and a look at the process now and then."""

    def __init__(self, port: int) -> None:
        self._cache = Manager()
        self._cache.register_storage("local", LocalStorage(size=SIZE))
        client = RedisClient(connect(f"redis://127.0.0.1:{port}/0", connections=16))
        self._cache.register_storage("redis", RedisStorage(client, prefix="ttl:"))
        self._fresh = count(1_000_000)
        self._fresh_lock = threading.Lock()

    def run(self, seconds: float) -> dict[str, Any]:
        """Warm up, then the hour; a look at rest before and after it, and often in between."""
        errors: list[str] = []
        self._all(REQUESTS // 20, seconds / 20, errors)
        before = self._at_rest()
        started = time.monotonic()
        samples = self._all(REQUESTS, seconds, errors)
        spent = time.monotonic() - started
        return {
            "before": before,
            "samples": samples,
            "after": self._at_rest(),
            "seconds": spent,
            "errors": errors[:5],
        }

    def _all(self, requests: int, seconds: float, errors: list[str]) -> list[dict[str, Any]]:
        """Make so many requests in so many seconds, or as fast as the machine can."""
        share, pace = requests // THREADS, seconds * THREADS / requests
        threads = [
            threading.Thread(target=self._work, args=(number, share, pace, errors))
            for number in range(THREADS)
        ]
        samples = []
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            time.sleep(seconds / SAMPLES)
            samples.append(self._memory())
        return samples

    def _work(self, number: int, share: int, pace: float, errors: list[str]) -> None:
        choose, started = random.Random(number), time.monotonic()
        for done in range(share):
            try:
                self._once(choose)
            except LoadFailed:
                pass
            except Exception as error:  # noqa: BLE001  whatever it is, it is the finding
                errors.append(f"{type(error).__name__}: {error}")
            ahead = started + done * pace - time.monotonic()
            if ahead > 0.01:
                time.sleep(ahead)

    def _at_rest(self) -> dict[str, Any]:
        """What is there once refreshes behind their readers have ended: it stays for ever."""
        time.sleep(3)
        return self._census()

    def _once(self, choose: random.Random) -> None:
        kind = ChainNode if choose.random() < 0.5 else LocalNode
        if choose.random() < POPULAR_SHARE:
            node = kind(choose.randrange(POPULAR))
        else:  # once and never again, as a crawler asks
            with self._fresh_lock:
                node = kind(next(self._fresh))
        fate = choose.random()
        if fate < 0.02:
            self._cache.remove(node)
        elif fate < 0.03:
            self._cache.get_all([kind(choose.randrange(POPULAR)) for _ in range(20)])
        else:
            self._cache.get(node)

    @staticmethod
    def _memory() -> dict[str, Any]:
        """Nothing that takes memory itself, such as a list of all objects.

        What the C library holds free counts as given back: it grows for two hours, and ends.
        """
        gc.collect()
        ctypes.CDLL(None).malloc_trim(0)
        lines = Path(f"/proc/{os.getpid()}/status").read_text().splitlines()
        resident = next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))
        return {"resident_mb": resident / 1024, "blocks": sys.getallocatedblocks()}

    @staticmethod
    def _census() -> dict[str, Any]:
        gc.collect()
        modules = ((type(each), str(type(each).__module__)) for each in gc.get_objects())
        kinds = Counter(kind.__qualname__ for kind, module in modules if module.startswith(OURS))
        return {
            "threads": threading.active_count(),
            "files": len(list(Path("/proc/self/fd").iterdir())),
            "kinds": dict(kinds),
        }


def run(port: int, seconds: float) -> Iterator[tuple[str, list[Aim]]]:
    """Compare the last third of the hour with the middle one."""
    with Child(__name__, str(port), env=dict(os.environ)) as child:
        found = child.ask(seconds=seconds)
    samples, before, after = found["samples"], found["before"], found["after"]
    third = len(samples) // 3
    # From low to low: what is over is swept now and then, and what grows lifts the lows.
    growth = {
        name: min(sample[name] for sample in samples[-third:])
        - min(sample[name] for sample in samples[third:-third])
        for name in ("resident_mb", "blocks")
    }
    kept = {name: after[name] - before[name] for name in ("threads", "files")}
    kept["locks"] = sum(
        after["kinds"].get(name, 0) - before["kinds"].get(name, 0)
        for name in ("Event", "Condition", "Semaphore")
    )
    flights = after["kinds"].get("Flight", 0)
    middle = samples[len(samples) // 2]
    told = (
        f"an hour in {found['seconds']:.0f} s: {REQUESTS:,} requests, {middle['resident_mb']:.0f}"
        f" MB resident half-way; from the middle third to the last {growth['resident_mb']:+.1f} MB"
        f" and {growth['blocks']:+,.0f} of {middle['blocks']:,} blocks; at rest afterwards"
        f" {flights} in flight, {kept['locks']:+} locks, {kept['threads']:+} threads"
    )
    yield "\n  ".join([told, *set(found["errors"])]), [
        Aim("an hour: errors", len(found["errors"]), 0, ""),
        Aim("an hour: memory, growth", growth["resident_mb"], 2, " MB"),
        Aim("an hour: blocks, growth, share", growth["blocks"] / middle["blocks"], 0.02, ""),
        Aim("an hour: loads left in flight", flights, 0, ""),
        Aim("an hour: locks, growth", kept["locks"], 0, ""),
        Aim("an hour: threads, growth", kept["threads"], 0, ""),
        Aim("an hour: files, growth", kept["files"], 0, ""),
    ]


if __name__ == "__main__":
    serve_questions(Traffic(int(sys.argv[1])).run)
