"""What the tests of the cache share: a source that counts, a clock, processes in this process."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from strongback.cache import JSONSerializer, LocalStorage, Manager, Node, RedisStorage
from strongback.redis.client import RedisClient, connect


class Clock:
    """A clock that is put forward by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Source:
    """A source of values that can be changed, and that notes what is asked of it."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self.asked: list[str] = []
        self.batches = 0
        self.before_answer: Callable[[str], object] = lambda _: None
        """Called after a value was read and before it is handed over."""

    def read(self, key: str) -> str | None:
        self.asked.append(key)
        value = self.values.get(key)
        self.before_answer(key)
        return value


class Word(Node[str]):
    """A value of the test's own source; the test derives one with its storages."""

    source: ClassVar[Source]

    def __init__(self, name: str) -> None:
        self.name = name

    def key(self) -> str:
        return self.name


def word_node(source: Source, *storages: str, **options: object) -> type[Word]:
    """A kind of node of its own, with these storages and options."""

    def load(self: Word) -> str | None:
        return source.read(self.name)

    def load_all(cls: type[Word], nodes: Sequence[Word]) -> dict[str, str | None]:
        source.batches += 1
        return {node.name: source.read(node.name) for node in nodes}

    members: dict[str, Any] = {
        "load": load,
        "load_all": classmethod(load_all),
        "storages": list(storages),
    }
    # Neither randomness nor threads, unless a test asks for them.
    quiet = {"jitter": 0.0, "early": 0.0}
    name = f"Word{next(_numbers)}"
    return type(name, (Word,), {**members, **quiet, **options})


_numbers = itertools.count()


class Process:
    """A manager with storages of its own: what another process would have, in this one."""

    def __init__(self, url: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.client = RedisClient(connect(url, connections=12))
        self.local = LocalStorage(1000, clock=clock)
        self.remote = RedisStorage(self.client)
        self.cache = Manager(JSONSerializer())
        self.cache.register_storage("local", self.local)
        self.cache.register_storage("redis", self.remote)

    def close(self) -> None:
        self.remote.close()
        self.client.close()


def eventually(condition: Callable[[], bool], seconds: float = 30) -> bool:
    """Whether it becomes true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def start(function: Callable[[], object]) -> threading.Thread:
    """Run in a thread; the caller joins it."""
    thread = threading.Thread(target=function)
    thread.start()
    return thread
