"""Readers and writers of one process: `python -m …crowd REDIS_PORT LEDGER LOCAL_TTL`."""

from __future__ import annotations

import random
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

from benchmarks.cache.chaos.ledger import KEYS, Ledger
from benchmarks.question import serve_questions
from strongback.cache import LocalStorage, Manager, Node, RedisStorage
from strongback.redis.client import RedisClient, connect

READERS, WRITERS = 6, 2
READ_PAUSE, WRITE_PAUSE = 0.004, 0.05
"""Seconds between the calls of one thread, on average."""
SLOWEST_LOAD = 0.02
"""Seconds between a loader's read and its return: time enough for a write in between."""

LOCAL_TTL = float(sys.argv[3]) if __name__ == "__main__" else 5.0
ledger: Ledger


class VersionNode(Node[int]):
    """The version of a key, read slowly."""

    storages: ClassVar = [
        {"storage": "local", "ttl": timedelta(seconds=LOCAL_TTL)},
        {"storage": "redis", "ttl": timedelta(seconds=120)},
    ]

    def __init__(self, number: int) -> None:
        self.number = number

    def key(self) -> str:
        return str(self.number)

    def load(self) -> int:
        version = ledger.version(self.number)
        time.sleep(random.random() * SLOWEST_LOAD)
        return version


class Crowd:
    """Counts what must not happen, and measures for how long what is old is still served."""

    def __init__(self, port: int, path: Path) -> None:
        global ledger  # noqa: PLW0603  a node's load has nothing but the node
        ledger = self._ledger = Ledger(path)
        self._cache = Manager()
        self._cache.register_storage("local", LocalStorage(size=10_000))
        client = RedisClient(connect(f"redis://127.0.0.1:{port}/0", connections=16))
        self._cache.register_storage("redis", RedisStorage(client, prefix="chaos:"))
        self._mine = [0] * KEYS
        """For each key the newest version whose write has returned in this process."""
        self._mine_lock = threading.Lock()

    def run(self, seconds: float) -> dict[str, Any]:
        end = time.monotonic() + seconds
        found: list[dict[str, Any]] = []
        work = [self._read] * READERS + [self._write] * WRITERS
        threads = [
            threading.Thread(target=lambda job=job: found.append(job(end)))  # type: ignore[misc]  # a default binds it
            for job in work
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        total: dict[str, Any] = {
            "reads": 0,
            "writes": 0,
            "violations": 0,
            "errors": [],
            "stale": [],
        }
        for each in found:
            for name, value in each.items():
                total[name] += value
        total["hits"] = dict(self._cache.stats(VersionNode).hits)
        return total

    def _read(self, end: float) -> dict[str, Any]:
        choose = random.Random()
        reads = violations = 0
        stale: list[float] = []
        errors: list[str] = []
        while (now := time.monotonic()) < end:
            key = self._choose(choose)
            mine, newest = self._mine[key], self._ledger.version(key)
            try:
                found = self._cache.get(VersionNode(key))
            except Exception as error:  # noqa: BLE001  whatever it is, it is the finding
                errors.append(f"{type(error).__name__}: {error}")
                continue
            reads += 1
            if found is None or found < mine:
                violations += 1
            elif found < newest:
                stale.append(now - self._ledger.committed_at(key, found + 1))
            time.sleep(choose.random() * 2 * READ_PAUSE)
        return {"reads": reads, "violations": violations, "stale": stale, "errors": errors[:5]}

    def _write(self, end: float) -> dict[str, Any]:
        choose = random.Random()
        writes = 0
        errors: list[str] = []
        while time.monotonic() < end:
            key = self._choose(choose)
            version = self._ledger.commit(key)
            try:
                self._cache.remove(VersionNode(key))
            except Exception as error:  # noqa: BLE001  counted
                errors.append(f"{type(error).__name__}: {error}")
                continue
            with self._mine_lock:
                self._mine[key] = max(self._mine[key], version)
            writes += 1
            time.sleep(choose.random() * 2 * WRITE_PAUSE)
        return {"writes": writes, "errors": errors[:5]}

    @staticmethod
    def _choose(choose: random.Random) -> int:
        return int(KEYS * choose.random() ** 2)  # some keys far more often than others


if __name__ == "__main__":
    crowd = Crowd(int(sys.argv[1]), Path(sys.argv[2]))
    serve_questions(crowd.run)
