"""Which library holds the entries of the local storage: every candidate in a process of its own.

Each candidate is used as the storage would use it: bounded by entries, every entry with a lifetime
of its own, many threads. Where a library knows no such lifetime, the expiry lies beside the value.
"""

from __future__ import annotations

import gc
import os
import random
import signal
import sys
import threading
import time
from contextlib import ExitStack
from datetime import timedelta
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Protocol

from benchmarks.http.child import Child, resident_mb
from benchmarks.question import serve_questions
from strongback.cache import Item, LocalStorage, Manager
from strongback.cache.s3_fifo import MOST_USES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

OURS = "Strongback's S3-FIFO"
TRACE_SIZE = 10_000
"""Entries that a candidate may hold while its hit ratio is measured."""
TRACE_KEYS = 100_000
LATENCY_SIZE = 10_000
MEMORY_ENTRIES = 100_000
THREADS = 8
FORK_PATIENCE = 5
"""Seconds after which a forked child that has not finished counts as hanging."""


class Engine(Protocol):
    """What the local storage needs."""

    def get(self, key: str) -> Any:
        """The value, or None."""

    def set(self, key: str, value: Any, ttl: float) -> None:
        """Keep it for so many seconds."""

    def remove(self, key: str) -> None:
        """Forget it, if it is there."""

    def __len__(self) -> int: ...


class _Beside:
    """A bounded mapping; the expiry lies beside the value."""

    def __init__(self, entries: Any) -> None:
        self._entries = entries

    def get(self, key: str) -> Any:
        entry = self._entries.get(key)
        if entry is None or entry[1] <= time.monotonic():
            return None
        return entry[0]

    def set(self, key: str, value: Any, ttl: float) -> None:
        self._entries.insert(key, (value, time.monotonic() + ttl))

    def remove(self, key: str) -> None:
        self._entries.pop(key, None)

    def __len__(self) -> int:
        return len(self._entries)


class _Own(_Beside):
    """A mapping that knows an entry's own lifetime."""

    def get(self, key: str) -> Any:
        return self._entries.get(key)

    def set(self, key: str, value: Any, ttl: float) -> None:
        self._entries.insert(key, value, ttl)


class _Moka(_Beside):
    def get(self, key: str) -> Any:
        return self._entries.get(key)

    def set(self, key: str, value: Any, ttl: float) -> None:
        self._entries.set(key, value, ttl)

    def remove(self, key: str) -> None:
        self._entries.remove(key)

    def __len__(self) -> int:
        self._entries.run_pending_tasks()
        return self._entries.count()


class _Theine(_Beside):
    def get(self, key: str) -> Any:
        return self._entries.get(key)[0]

    def set(self, key: str, value: Any, ttl: float) -> None:
        self._entries.set(key, value, timedelta(seconds=ttl))

    def remove(self, key: str) -> None:
        self._entries.delete(key)


class _Strongback(_Beside):
    """The local storage itself, read as the manager reads it."""

    def __init__(self, size: int) -> None:
        storage = LocalStorage(size)
        # A forked child's manager resets its storages.
        self._manager = Manager()
        self._manager.register_storage("local", storage)
        self._entries, self._peek, self._clock = storage, storage.peek, storage.clock

    def get(self, key: str) -> Any:
        entry = self._peek(key)
        if entry is None or entry.due <= self._clock():
            return None
        if entry.uses < MOST_USES:
            entry.uses += 1
        return entry.value

    def set(self, key: str, value: Any, ttl: float) -> None:
        self._entries.set_all({key: Item(value, ttl, ttl)})

    def remove(self, key: str) -> None:
        self._entries.remove([key])


class _Policy:
    """Plain dictionaries; theine's compiled W-TinyLFU is told of hits in batches."""

    BATCH = 64

    def __init__(self, size: int) -> None:
        from theine_core import TlfuCore  # noqa: PLC0415  one candidate a process

        self._core = TlfuCore(size)
        self._entries: dict[str, tuple[Any, float, int]] = {}
        self._keys: dict[int, str] = {}
        self._hits: list[int] = []
        self._lock = threading.Lock()

    def get(self, key: str) -> Any:
        entry = self._entries.get(key)
        if entry is None or entry[1] <= time.monotonic():
            return None
        hits = self._hits
        hits.append(entry[2])
        if len(hits) >= self.BATCH and self._lock.acquire(blocking=False):
            try:
                self._hits = []
                self._core.access(hits)
            finally:
                self._lock.release()
        return entry[0]

    def set(self, key: str, value: Any, ttl: float) -> None:
        mark = hash(key) & 0xFFFF_FFFF_FFFF_FFFF
        with self._lock:
            other = self._keys.get(mark)
            if other is not None and other != key:
                del self._entries[other]
            self._keys[mark] = key
            self._entries[key] = (value, time.monotonic() + ttl, mark)
            for evicted in self._core.set([(mark, 0)]):
                self._forget(evicted)

    def remove(self, key: str) -> None:
        mark = hash(key) & 0xFFFF_FFFF_FFFF_FFFF
        with self._lock:
            if self._keys.get(mark) == key:
                self._core.remove(mark)
                self._forget(mark)

    def _forget(self, mark: int) -> None:
        key = self._keys.pop(mark, None)
        if key is not None:
            self._entries.pop(key, None)

    def __len__(self) -> int:
        return len(self._entries)


def _cachebox(name: str) -> Callable[[int], Engine]:
    def make(size: int) -> Engine:
        import cachebox  # noqa: PLC0415  one candidate a process

        entries = getattr(cachebox, name)(size)
        return _Own(entries) if name == "VTTLCache" else _Beside(entries)

    return make


def _moka(policy: str) -> Callable[[int], Engine]:
    def make(size: int) -> Engine:
        from moka_py import Moka  # noqa: PLC0415  one candidate a process

        return _Moka(Moka(size, policy=policy))

    return make


def _theine(size: int) -> Engine:
    from theine import Cache  # noqa: PLC0415  one candidate a process

    return _Theine(Cache(size))


CANDIDATES: dict[str, Callable[[int], Engine]] = {
    "cachebox LRU": _cachebox("LRUCache"),
    "cachebox LFU": _cachebox("LFUCache"),
    "cachebox FIFO": _cachebox("FIFOCache"),
    "cachebox RR": _cachebox("RRCache"),
    "cachebox VTTL": _cachebox("VTTLCache"),
    "moka W-TinyLFU": _moka("tiny_lfu"),
    "moka LRU": _moka("lru"),
    "theine W-TinyLFU": _theine,
    "dict + theine-core": _Policy,
    OURS: _Strongback,
}


def zipf(count: int, keys: int, exponent: float, seed: int) -> list[int]:
    """Ranks drawn by Zipf's law: rank r is asked for in proportion to 1 / (r + 1) ** exponent."""
    weights = list(accumulate(1 / (rank + 1) ** exponent for rank in range(keys)))
    return random.Random(seed).choices(range(keys), cum_weights=weights, k=count)


def scans(requests: int) -> Iterator[str]:
    """Popular keys; every tenth part of the trace is followed by 5,000 keys asked for once."""
    part = requests // 10
    for at, rank in enumerate(zipf(requests, TRACE_KEYS, 0.9, seed=5)):
        if at % part == part - 1:
            yield from (f"scan:{at}:{number}" for number in range(5_000))
        yield f"article:{rank}"


def drift(requests: int) -> Iterator[str]:
    """What is popular changes altogether with every tenth part of the trace."""
    part = requests // 10
    for at, rank in enumerate(zipf(requests, TRACE_KEYS, 0.9, seed=6)):
        yield f"article:{(rank + at // part * 37_003) % TRACE_KEYS}"


TRACES = {"scans": scans, "drift": drift}


def hit_ratio(make: Callable[[int], Engine], trace: str, requests: int) -> float:
    engine, hits, count = make(TRACE_SIZE), 0, 0
    for key in TRACES[trace](requests):
        count += 1
        if engine.get(key) is None:
            engine.set(key, key, 3600)
        else:
            hits += 1
    size = len(engine)
    assert size <= TRACE_SIZE * 1.02, f"{size} entries where {TRACE_SIZE} are allowed"
    return hits / count


def latency(make: Callable[[int], Engine]) -> dict[str, float]:
    """Nanoseconds of one call, the loop's own time taken off."""
    keys = [f"article:{number}" for number in range(LATENCY_SIZE)]
    random.Random(1).shuffle(keys)
    # The keys of a request are always new texts whose hash is not yet known.
    engine = make(LATENCY_SIZE)
    for key in keys:
        engine.set(key, key, 3600)
    warm = [key for key in keys if engine.get(key) is not None]
    base = _timed(lambda _: None, warm)
    found = {"get": _timed(engine.get, warm) - base}
    found["set"] = _timed(lambda key: engine.set(key, key, 3600), warm) - base
    new = [f"other:{number}" for number in range(LATENCY_SIZE)]
    found["evict"] = _timed(lambda key: engine.set(key, key, 3600), new) - base
    return found


def _timed(call: Callable[[str], object], keys: list[str]) -> float:
    """The CPU time of a call, in ns: another process on the core does not count."""
    keys = ["".join(key) for key in keys]
    gc.collect()
    gc.disable()
    start = time.thread_time_ns()
    for key in keys:
        call(key)
    spent = time.thread_time_ns() - start
    gc.enable()
    return spent / len(keys)


def memory(make: Callable[[int], Engine]) -> float:
    """Resident MB that the engine adds, its keys and values existing already."""
    keys = [f"article:{number}" for number in range(MEMORY_ENTRIES)]
    engine = make(MEMORY_ENTRIES)
    gc.collect()
    before = resident_mb(os.getpid())
    for key in keys:
        engine.set(key, key, 3600)
    after = resident_mb(os.getpid())
    assert len(engine) >= MEMORY_ENTRIES * 0.98, len(engine)
    return after - before


def threads(make: Callable[[int], Engine], seconds: float) -> dict[str, Any]:
    """Everything at once on few entries, so that threads meet on the same key and evict."""
    engine = make(500)
    errors: list[str] = []
    calls = [0] * THREADS
    end = time.monotonic() + seconds

    def work(number: int) -> None:
        choose = random.Random(number)
        while time.monotonic() < end and len(errors) < 10:
            key = f"article:{choose.randrange(1_000)}"
            try:
                found = engine.get(key)
                if found is not None and found[0] != key:
                    errors.append(f"{key} gave {found[0]}")
                if choose.random() < 0.3:
                    engine.set(key, (key, number), choose.choice((0.001, 3600)))
                elif choose.random() < 0.05:
                    engine.remove(key)
            except Exception as error:  # noqa: BLE001  whatever it is, it is the finding
                errors.append(f"{type(error).__name__}: {error}")
            calls[number] += 1

    workers = [threading.Thread(target=work, args=(number,)) for number in range(THREADS)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    size = len(engine)
    if size > 600:
        errors.append(f"{size} entries where 500 are allowed")
    return {"rate": sum(calls) / seconds, "errors": errors[:3]}


def lifetimes(make: Callable[[int], Engine]) -> dict[str, Any]:
    """Whether an entry goes when its own time is over, and who must go when there is no room."""
    engine = make(1_000)
    engine.set("short", 1, 0.05)
    engine.set("long", 2, 3600)
    time.sleep(0.1)
    is_kept = engine.get("long") == 2
    is_gone = engine.get("short") is None
    engine = make(1_000)
    for number in range(900):
        engine.set(f"popular:{number}", number, 10)
    for _ in range(20):
        for number in range(900):
            engine.get(f"popular:{number}")
    for number in range(3_000):
        engine.set(f"once:{number}", number, 3600)
    survivors = sum(engine.get(f"popular:{number}") is not None for number in range(900))
    return {"is_right": is_kept and is_gone, "popular_kept": survivors / 900}


def after_fork(make: Callable[[int], Engine]) -> dict[str, Any]:
    """Whether a forked child can go on with what it inherited, while its parent's threads work."""
    engine = make(1_000)
    stop = threading.Event()
    for number in range(1_000):
        engine.set(f"article:{number}", number, 3600)

    def work() -> None:
        while not stop.is_set():
            engine.set(f"article:{random.randrange(2_000)}", 1, 3600)

    worker = threading.Thread(target=work)
    worker.start()
    outcomes = [_forked(engine) for _ in range(20)]
    stop.set()
    worker.join()
    return {"hung": outcomes.count("hung"), "failed": outcomes.count("failed")}


def _forked(engine: Engine) -> str:
    child = os.fork()
    if not child:
        code = 1
        try:
            for number in range(5_000):
                engine.set(f"child:{number}", number, 3600)
                engine.get(f"article:{number}")
            engine.set("short", 1, 0.01)
            time.sleep(0.03)
            code = 0 if len(engine) <= 1_100 and engine.get("short") is None else 2
        finally:
            os._exit(code)
    end = time.monotonic() + FORK_PATIENCE
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return "fine" if status == 0 else "failed"
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return "hung"


def measure(rounds: int, requests: int, tick: Callable[[], None]) -> dict[str, dict[str, Any]]:
    """Ask every candidate everything; latency in turns, so that a disturbance meets all alike."""
    env = {**os.environ, "PYTHONHASHSEED": "0"}
    found: dict[str, dict[str, Any]] = {}
    with ExitStack() as stack:
        children = {
            name: stack.enter_context(Child("benchmarks.cache.engine", name, env=env))
            for name in CANDIDATES
        }
        for name, child in children.items():
            found[name] = {
                "memory": child.ask(kind="memory"),
                "lifetimes": child.ask(kind="lifetimes"),
                "threads": child.ask(kind="threads", seconds=2),
                "fork": child.ask(kind="after_fork"),
                "get": [],
                "set": [],
                "evict": [],
            }
            for trace in TRACES:
                found[name][trace] = child.ask(kind="hit_ratio", trace=trace, requests=requests)
            tick()
        for _ in range(rounds):
            for name, child in children.items():
                for kind, spent in child.ask(kind="latency").items():
                    found[name][kind].append(spent)
            tick()
    return found


def answer(*, kind: str, **options: Any) -> Any:
    make = CANDIDATES[sys.argv[1]]
    questions: dict[str, Callable[..., Any]] = {
        "hit_ratio": hit_ratio,
        "latency": latency,
        "memory": memory,
        "threads": threads,
        "lifetimes": lifetimes,
        "after_fork": after_fork,
    }
    return questions[kind](make, **options)


if __name__ == "__main__":
    serve_questions(answer)
