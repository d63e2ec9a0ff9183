"""A process that reads and writes through the cache, and prints what it has seen as JSON.

    python -m tests.support.cache_worker REDIS_URL SECONDS

The source is a number for each key in the same Redis, of which a write makes a greater one.
"""

from __future__ import annotations

import json
import random
import sys
import threading
import time

from strongback.cache import Node
from tests.support.cache import Process

KEYS = 20
THREADS = 50


class Number(Node[int]):
    """A number that only grows."""

    storages = ("local", "redis")
    process: Process

    def __init__(self, name: str) -> None:
        self.name = name

    def key(self) -> str:
        return self.name

    def load(self) -> int | None:
        server = self.process.client.server
        server.incr(f"loads:{self.name}")
        if self.name == "slow":
            time.sleep(0.3)
        return int(server.get(f"source:{self.name}") or 0)


def stampede(process: Process) -> None:
    """Many threads ask for one missing key at the moment in which all processes are there."""
    server = process.client.server
    server.incr("ready")
    while int(server.get("ready") or 0) < 4:
        time.sleep(0.005)
    threads = [
        threading.Thread(target=process.cache.get, args=(Number("slow"),)) for _ in range(THREADS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def read_and_write(process: Process, seconds: float) -> int:
    """How often a thread of this process was told less than it had been told, or had written."""
    known: dict[str, int] = {}
    violations, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        name = str(random.randrange(KEYS))
        if random.random() < 0.1:
            written = process.client.server.incr(f"source:{name}")
            process.cache.remove(Number(name))
            known[name] = int(written)
        value = process.cache.get(Number(name)) or 0
        violations += value < known.get(name, 0)
    return violations


def main(url: str, seconds: float) -> None:
    process = Number.process = Process(url)
    process.remote.await_channel()
    stampede(process)
    sys.stdout.write(json.dumps({"violations": read_and_write(process, seconds)}) + "\n")
    process.close()


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
