"""The storage in the process: objects as they are, no copies, no bytes."""

from __future__ import annotations

import gc
import math
import random
import time
from collections.abc import Callable, Mapping, Sequence
from sys import getsizeof
from types import FunctionType, ModuleType

from strongback.cache.error import require_count
from strongback.cache.s3_fifo import Entry, S3Fifo
from strongback.cache.storage import MISSING, Codec, Item, Missing

OVERHEAD = 260
"""Bytes of an entry beside its key and value: itself, its moments, its places in the dictionary, in
a queue and among the ghosts. Measured; see the test."""
MOST_OBJECTS = 100_000
"""Objects of a value that are counted."""
_PLAIN = frozenset({bytes, str, int, float, bool, type(None)})
"""Types whose values refer to nothing."""
_SHARED = (type, ModuleType, FunctionType)
"""Objects that belong to the program, and not to the value that refers to them."""


class LocalStorage:
    """Keeps a bounded number of values in this process. Safe to share between threads.

    Values are handed out as they were put in: treat them as read-only.

    Args:
        size: Maximum number of entries.
        room: Maximum number of bytes, with the objects that values refer to; None to bound the
            number of entries alone. A value of more than a tenth of it is not kept.
        clock: Monotonic time in seconds.

    Raises:
        CacheMisuse: The size or the room is not a positive number.
    """

    def __init__(
        self,
        size: int = 10_000,
        *,
        room: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        require_count("size", size)
        if room is not None:
            require_count("room", room)
        self.size = size
        self.room = room
        self.clock = clock
        self.engine = S3Fifo(size, room)
        self.peek: Callable[[str], Entry | None] = self.engine.get
        """The entry under a key, whether or not it is still good: the way of a hit."""
        self._until_sweep = size

    def get_all(
        self, keys: Sequence[str], codec: Codec | None = None  # noqa: ARG002  objects need none
    ) -> list[Item | Missing]:
        """Return what is kept under each key and may still be served."""
        now = self.clock()
        return [self._item(self.peek(key), now) for key in keys]

    def set_all(
        self, items: Mapping[str, Item], codec: Codec | None = None  # noqa: ARG002  the same
    ) -> None:
        """Keep these."""
        now = self.clock()
        for key, item in items.items():
            early = item.cost * -math.log(1.0 - random.random())  # noqa: S311  spreads work
            due = now + min(item.fresh, item.kept) - early
            size = 0 if self.room is None else size_of(key, item.value)
            if self.room is not None and size > self.room // 10:
                self.engine.remove(key)
                continue
            self.engine.set(Entry(key, item.value, due, now + item.fresh, now + item.kept, size))
        self._until_sweep -= len(items)
        if self._until_sweep < 0:
            self.sweep()

    def remove(self, keys: Sequence[str]) -> None:
        """Forget these keys."""
        for key in keys:
            self.engine.remove(key)

    def clear(self) -> None:
        """Forget all keys."""
        self.engine.clear()

    def count(self) -> int:
        """Count the keys, those included that have ended and are not swept yet."""
        return len(self.engine)

    def sweep(self) -> int:
        """Drop entries that may no longer be served; return their number.

        The engine would keep an entry that was popular for a while after its end.
        """
        self._until_sweep = self.size
        now = self.clock()
        over = [entry.key for entry in self.engine.entries() if entry.end <= now]
        self.remove(over)
        self.engine.recount()
        return len(over)

    def postpone(self, key: str, seconds: float) -> None:
        """Serve an entry for a while longer without refreshing it."""
        entry = self.peek(key)
        if entry is not None:
            entry.due = min(self.clock() + seconds, entry.end)

    def reset_after_fork(self) -> None:
        """Forget the parent's threads, and its values: their removals are not heard."""
        self.engine.reset()

    @staticmethod
    def _item(entry: Entry | None, now: float) -> Item | Missing:
        if entry is None or entry.end <= now:
            return MISSING
        return Item(entry.value, entry.stale - now, entry.end - now)


def size_of(key: str, value: object) -> int:
    """Return the bytes of an entry, with everything that its value refers to."""
    total = OVERHEAD + getsizeof(key)
    seen: set[int] = set()
    todo = [value]
    while todo and len(seen) < MOST_OBJECTS:
        each = todo.pop()
        if type(each) in _PLAIN:
            total += getsizeof(each)
            continue
        if id(each) in seen or isinstance(each, _SHARED):
            continue
        seen.add(id(each))
        total += getsizeof(each)
        todo += gc.get_referents(each)
    return total
