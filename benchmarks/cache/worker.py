"""One cache in a process of its own: `python -m benchmarks.cache.worker PEER PORT`.

It imports nothing but the standard library and the cache that it measures, for one of them lives
in another environment. A peer has any of these, all plain or all coroutines; what it has not is
not measured:

    local_get(number) local_call(number) local_set(key, value) slow_local(number)
    redis_get(number) redis_typed(number) redis_call(number) slow_redis(number)
    redis_many(numbers) redis_many_typed(numbers)
    traced(key) chained(key)
"""

from __future__ import annotations

import asyncio
import gc
import inspect
import os
import random
import sys
import threading
import time
from importlib import import_module
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from benchmarks.cache.source import ENTRIES, HOT, Source, article
from benchmarks.cache.trace import requests
from benchmarks.question import serve_questions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MEMORY_ENTRIES = 100_000
BATCH = 50
NEW = 1_000_000
"""Numbers from here on have not been asked for."""


class Threads:
    """Runs a peer's plain functions; callers are threads."""

    def run(self, call: Callable[..., Any], *arguments: Any) -> Any:
        return call(*arguments)

    def repeat(self, call: Callable[[Any], Any], arguments: list[Any]) -> float:
        """CPU ns of a call, all calls in one: what else the machine does is not in it."""
        started = time.thread_time_ns()
        for argument in arguments:
            call(argument)
        return (time.thread_time_ns() - started) / len(arguments)

    def each(self, call: Callable[[Any], Any], arguments: list[Any]) -> float:
        """Elapsed ns of a call, the median: one that the machine interrupted does not count."""
        clock, spent = time.perf_counter_ns, []
        for argument in arguments:
            started = clock()
            call(argument)
            spent.append(clock() - started)
        return median(spent)

    def many(self, call: Callable[[Any], Any], arguments: Iterator[Any], callers: int) -> list[str]:
        """Let callers take the arguments one after the other; gives what went wrong."""
        errors: list[str] = []
        lock = threading.Lock()

        def take() -> None:
            while True:
                with lock:
                    argument = next(arguments, None)
                if argument is None:
                    return
                try:
                    call(argument)
                except Exception as error:  # noqa: BLE001  counted, whatever it is
                    errors.append(f"{type(error).__name__}: {error}")

        threads = [threading.Thread(target=take) for _ in range(callers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return errors

    def rate(self, call: Callable[[Any], Any], callers: int, count: int) -> float:
        """Calls a second of so many threads together."""
        barrier = threading.Barrier(callers + 1)

        def work() -> None:
            numbers = [number % HOT for number in range(count)]
            barrier.wait()
            for number in numbers:
                call(number)
            barrier.wait()

        threads = [threading.Thread(target=work) for _ in range(callers)]
        for thread in threads:
            thread.start()
        barrier.wait()
        started = time.perf_counter()
        barrier.wait()
        spent = time.perf_counter() - started
        for thread in threads:
            thread.join()
        return callers * count / spent


class Tasks(Threads):
    """Runs a peer's coroutines; callers are tasks of one event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()

    def run(self, call: Callable[..., Any], *arguments: Any) -> Any:
        return self._loop.run_until_complete(call(*arguments))

    def repeat(self, call: Callable[[Any], Any], arguments: list[Any]) -> float:
        async def loop() -> float:
            started = time.thread_time_ns()
            for argument in arguments:
                await call(argument)
            return (time.thread_time_ns() - started) / len(arguments)

        return self._loop.run_until_complete(loop())

    def each(self, call: Callable[[Any], Any], arguments: list[Any]) -> float:
        async def loop() -> float:
            clock, spent = time.perf_counter_ns, []
            for argument in arguments:
                started = clock()
                await call(argument)
                spent.append(clock() - started)
            return median(spent)

        return self._loop.run_until_complete(loop())

    def many(self, call: Callable[[Any], Any], arguments: Iterator[Any], callers: int) -> list[str]:
        errors: list[str] = []

        async def take() -> None:
            for argument in arguments:
                try:
                    await call(argument)
                except Exception as error:  # noqa: BLE001  counted
                    errors.append(f"{type(error).__name__}: {error}")

        async def gather() -> None:
            await asyncio.gather(*[take() for _ in range(callers)])

        self._loop.run_until_complete(gather())
        return errors

    def rate(self, call: Callable[[Any], Any], callers: int, count: int) -> float:
        started = time.perf_counter()
        self.many(call, iter([at % HOT for at in range(callers * count)]), callers)
        return callers * count / (time.perf_counter() - started)


class Worker:
    """Answers questions about one peer."""

    def __init__(self, name: str, port: int) -> None:
        self.source = Source()
        self.peer: Any = import_module(f"benchmarks.cache.peer.{name}").Peer(port, self.source)
        is_async = any(inspect.iscoroutinefunction(getattr(self.peer, each, None))
                       for each in ("start", "local_get"))  # fmt: skip
        self.callers = Tasks() if is_async else Threads()
        self._new = NEW
        self._choose = random.Random(1)

    def start(self) -> dict[str, Any]:
        """Fill it, and see that it answers what was put in."""
        self.callers.run(self.peer.start)
        for name in ("local_get", "local_call", "redis_get", "redis_call"):
            if call := getattr(self.peer, name, None):
                for number in (0, 7, ENTRIES - 1):
                    self._refuse_other(name, number, self.callers.run(call, number))
        if call := getattr(self.peer, "redis_many", None):
            for number, found in enumerate(self.callers.run(call, list(range(BATCH)))):
                self._refuse_other("redis_many", number, found)
        names = [name for name in dir(self.peer) if not name.startswith("_")]
        return {"has": names, "is_async": isinstance(self.callers, Tasks)}

    @staticmethod
    def _refuse_other(name: str, number: int, found: Any) -> None:
        plain = found.model_dump(mode="json") if hasattr(found, "model_dump") else found
        if plain != article(number):
            raise SystemExit(f"{sys.argv[1]}: {name}({number}) gave {found!r}")

    def hits(self, name: str, count: int) -> float:
        """A hit in memory."""
        gc.collect()
        numbers = [self._choose.randrange(HOT) for _ in range(count)]
        return self.callers.repeat(getattr(self.peer, name), numbers)

    def trips(self, name: str, count: int) -> float:
        """A call that goes to Redis."""
        numbers = [self._choose.randrange(ENTRIES) for _ in range(count)]
        return self.callers.each(getattr(self.peer, name), numbers)

    def misses(self, name: str, count: int) -> float:
        """A call for what nobody has asked for before."""
        numbers = list(range(self._new, self._new + count))
        self._new += count
        return self.callers.each(getattr(self.peer, name), numbers)

    def batches(self, name: str, count: int) -> float:
        """A call for 50 values that Redis holds."""
        groups = [self._choose.sample(range(ENTRIES), BATCH) for _ in range(count)]
        return self.callers.each(getattr(self.peer, name), groups)

    def rate(self, name: str, callers: int, count: int) -> float:
        return self.callers.rate(getattr(self.peer, name), callers, count)

    def stampede(self, name: str, number: int, callers: int, at: float) -> dict[str, Any]:
        """Everybody asks for one key, from the given time of the clock on."""
        before = self.source.loads
        answered: list[float] = []
        call = getattr(self.peer, name)
        lock = threading.Lock()
        if isinstance(self.callers, Tasks):

            async def ask(_: int) -> None:
                await asyncio.sleep(max(0.0, at - time.time()))
                await call(number)
                answered.append(time.time())

        else:

            def ask(_: int) -> None:
                time.sleep(max(0.0, at - time.time()))
                call(number)
                with lock:
                    answered.append(time.time())

        errors = self.callers.many(ask, iter([1] * callers), callers)
        return {
            "loads": self.source.loads - before,
            "seconds": max(answered, default=at) - at,
            "errors": len(errors),
            "error": errors[0] if errors else "",
        }

    def memory(self) -> float:
        """MB for 100,000 entries whose keys and values are there already."""
        keys = [f"article:{number}" for number in range(MEMORY_ENTRIES)]
        gc.collect()
        before = _resident_mb()
        self.callers.repeat(lambda key: self.peer.local_set(key, key), keys)
        return _resident_mb() - before

    def trace(self, name: str, count: int, callers: int) -> dict[str, Any]:
        """Run cacheme's trace; a wrong answer is an error like any other."""
        call = getattr(self.peer, name)
        if isinstance(self.callers, Tasks):

            async def ask(key: str) -> None:
                _refuse_other_key(key, await call(key))

        else:
            threading.stack_size(256 * 1024)

            def ask(key: str) -> None:
                _refuse_other_key(key, call(key))

        keys, before, cpu = requests(count), self.source.loads, time.process_time()
        started = time.perf_counter()
        errors = self.callers.many(ask, iter(keys), callers)
        return {
            "seconds": time.perf_counter() - started,
            "cpu": time.process_time() - cpu,
            "loads": self.source.loads - before,
            "errors": len(errors),
            "error": errors[0] if errors else "",
        }


def _refuse_other_key(key: str, found: str) -> None:
    if found != key:
        raise ValueError(f"{key} gave {found!r}")


def _resident_mb() -> float:
    lines = Path(f"/proc/{os.getpid()}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:"))


def main() -> None:
    worker = Worker(sys.argv[1], int(sys.argv[2]))
    serve_questions(lambda kind, **options: getattr(worker, kind)(**options))


if __name__ == "__main__":
    main()
