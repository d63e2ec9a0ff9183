"""What happens to tasks when processes are killed and the broker goes away.

The short form runs among the tests, the long one by `make chaos`.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field

from app.core.config import ROOT
from tests.support.worker import WorkerHarness, wait_until

Step = Callable[[], object]
"""Called after each round, for a progress bar."""
DRAIN = 300
"""Seconds in which everything that was written has to be done at last."""


@dataclass
class Finding:
    """What was found when everything was done."""

    written: int
    lost: int
    """Committed, and never had its effect."""
    repeated: int
    """Had its effect more than once."""
    ghosts: int = 0
    """Was rolled back, and had an effect."""
    redeliveries: list[float] = field(default_factory=list)
    """Seconds from a worker's death to the second beginning of what it was doing."""


@dataclass
class Outage:
    """What writers noticed of a broker that was away, and how it ended."""

    written: int
    failed: int
    p99: float
    """Seconds that 99 of 100 writes took at most."""
    drained: float
    """Seconds from the broker's return until nothing was left to do."""
    finding: Finding


def kill_workers(workers: WorkerHarness, rounds: int, step: Step = lambda: None) -> Finding:
    """Kill a worker in the middle of its task, again and again."""
    redeliveries = []
    written: list[int] = []
    for number in range(rounds):
        with workers.worker() as worker:
            workers.emit("begun", number=number, seconds=1.0)
            for each in range(3):
                written.append(number * 10 + each)
                workers.emit("noted", number=written[-1], seconds=0.05)
            # Called before the number changes.
            wait_until(lambda: _begun(workers, number) == 1, "the task's beginning")  # noqa: B023
            time.sleep(random.uniform(0, 0.5))
            killed = time.monotonic()
            worker.kill()
        with workers.worker():
            # Called before the number changes.
            wait_until(lambda: _begun(workers, number) > 1, "its second beginning")  # noqa: B023
            redeliveries.append(time.monotonic() - killed)
            workers.finish()
        step()
    finding = check(workers, written)
    finding.redeliveries = redeliveries
    return finding


def stop_workers(
    workers: WorkerHarness, rounds: int, step: Step = lambda: None, pause: float = 0.05
) -> Finding:
    """Stop a worker by SIGTERM while it is kept busy, and start another, again and again."""
    with writing(workers, pause) as writer:
        for _ in range(rounds):
            with workers.worker(concurrency=2) as worker:
                time.sleep(random.uniform(0.5, 1))
                assert worker.stop() == 0
            step()
    with workers.worker(concurrency=2):
        wait_until(lambda: workers.pending() == 0, "the end of the tasks", DRAIN)
    return check(workers, writer.written)


def kill_writers(workers: WorkerHarness, rounds: int, step: Step = lambda: None) -> Finding:
    """Kill web processes: half of them exactly between commit and dispatch, half at any moment."""
    written: list[int] = []
    with workers.worker(concurrency=2), _crashing(workers) as crashing:
        assert crashing.stdin is not None
        assert crashing.stdout is not None
        for number in range(rounds):
            kind = "exact" if number % 2 else "random"
            seconds = random.uniform(0.3, 0.8)
            crashing.stdin.write(f"{kind} {(number + 1) * 1000} {seconds}\n")
            crashing.stdin.flush()
            while (line := crashing.stdout.readline().strip()) != "dead":
                assert line, "the writing process ended"
                written.append(int(line))
            step()
        wait_until(lambda: workers.pending() == 0, "the end of the tasks", DRAIN)
    return check(workers, written)


def lose_broker(
    workers: WorkerHarness,
    away: Callable[[], AbstractContextManager[object]],
    seconds: float,
    pause: float = 0.2,
) -> Outage:
    """Take the broker away while four threads write, and see how long it takes to catch up."""

    def has_caught_up() -> bool:
        assert worker.process.is_alive(), f"the worker has ended: {worker.text}"
        return len(workers.effects("note")) >= due

    with workers.worker(concurrency=2) as worker, writing(workers, pause, threads=4) as writer:
        time.sleep(1)
        with away():
            time.sleep(seconds)
        returned = time.monotonic()
        # Those that were written while it was away, and all the others up to now.
        due = len(writer.written)
        wait_until(has_caught_up, "catching up", DRAIN)
        writer.stop()
        wait_until(lambda: workers.pending() == 0, "the end of the tasks", DRAIN)
        drained = time.monotonic() - returned
    times = sorted(writer.times)
    return Outage(
        written=len(writer.written),
        failed=writer.failed,
        p99=times[int(len(times) * 0.99)],
        drained=drained,
        finding=check(workers, writer.written),
    )


def check(workers: WorkerHarness, written: list[int]) -> Finding:
    """Compare what was committed with what has happened."""
    counts = Counter(workers.numbers("note"))
    return Finding(
        written=len(written),
        lost=sum(counts[number] == 0 for number in written),
        repeated=sum(count > 1 for count in counts.values()),
        ghosts=sum(number < 0 for number in counts),
    )


class Writer:
    """Threads that write messages until they are stopped."""

    def __init__(self, workers: WorkerHarness, pause: float, threads: int) -> None:
        self.written: list[int] = []
        self.times: list[float] = []
        self.failed = 0
        self._workers = workers
        self._pause = pause
        self._stopped = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(number,)) for number in range(threads)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def _run(self, thread: int) -> None:
        number = thread * 1_000_000
        while not self._stopped.wait(self._pause):
            number += 1
            started = time.perf_counter()
            try:
                self._workers.emit("noted", number=number)
            except Exception:  # noqa: BLE001  what a client would have seen is counted
                self.failed += 1
            else:
                self.times.append(time.perf_counter() - started)
                self.written.append(number)


@contextmanager
def writing(workers: WorkerHarness, pause: float, threads: int = 1) -> Iterator[Writer]:
    """Have messages written during the block."""
    writer = Writer(workers, pause, threads)
    writer.start()
    try:
        yield writer
    finally:
        writer.stop()


@contextmanager
def _crashing(workers: WorkerHarness) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.crash_emit"],
        cwd=ROOT,
        env=os.environ | workers.environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def _begun(workers: WorkerHarness, number: int) -> int:
    return sum(row.number == number for row in workers.effects("begin"))
