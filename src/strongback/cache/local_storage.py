"""The storage in the process: objects as they are, no copies, no bytes."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Mapping, Sequence

from strongback.cache.error import require_count
from strongback.cache.s3_fifo import Entry, S3Fifo
from strongback.cache.size import size_of
from strongback.cache.storage import MISSING, Codec, Item, Missing


class LocalStorage:
    """Keeps a bounded number of values in this process. Safe to share between threads.

    Values are handed out as they were put in: treat them as read-only.

    Args:
        size: Entries at most.
        room: Bytes that they take at most, each with what it refers to; None where only their
            number is bounded. A value that takes more than a tenth of it is not kept.
        clock: Seconds that never go back.

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
        """What is kept under each key and may still be served."""
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
        """Keep nothing under these keys."""
        for key in keys:
            self.engine.remove(key)

    def clear(self) -> None:
        """Keep nothing at all."""
        self.engine.clear()

    def count(self) -> int | None:
        """How many keys it holds, those included that are over and not swept yet."""
        return len(self)

    def sweep(self) -> int:
        """Drop what may no longer be served; say how many entries that was.

        The engine would keep an entry that was popular for a while after its end.
        """
        self._until_sweep = self.size
        now = self.clock()
        over = [entry.key for entry in self.engine.entries() if entry.end <= now]
        self.remove(over)
        self.engine.recount()
        return len(over)

    def postpone(self, key: str, seconds: float) -> None:
        """Serve what is kept for a while longer without refreshing it."""
        entry = self.peek(key)
        if entry is not None:
            entry.due = min(self.clock() + seconds, entry.end)

    def reset_after_fork(self) -> None:
        """Leave the parent's threads behind, and its values: their removals are not heard."""
        self.engine.reset()

    def __len__(self) -> int:
        return len(self.engine)

    @staticmethod
    def _item(entry: Entry | None, now: float) -> Item | Missing:
        if entry is None or entry.end <= now:
            return MISSING
        return Item(entry.value, entry.stale - now, entry.end - now)
