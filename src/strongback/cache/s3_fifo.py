"""The engine of the local storage: a bounded map that knows what to give up.

S3-FIFO, from Yang and others, "FIFO queues are all you need for cache eviction" (SOSP 2023). Chosen
by measurement (docs: cache): it forgets old favourites, which an LFU does not; it is not emptied by
a scan, as an LRU is; and a hit moves nothing, so that it needs no lock.
"""

from __future__ import annotations

import sys
import threading
from collections import OrderedDict, deque
from typing import Any

MOST_USES = 3
"""Uses that are counted: enough to tell what is used from what was read once."""


class Entry:
    """What is kept: the value and three moments, decided when it is stored and not at each hit."""

    __slots__ = ("due", "end", "key", "size", "stale", "uses", "value")

    def __init__(  # noqa: PLR0913, PLR0917  made for each write, by position
        self,
        key: str,
        value: Any,  # noqa: ANN401  any value
        due: float,
        stale: float,
        end: float,
        size: int = 0,
    ) -> None:
        self.key = key
        self.value = value
        self.size = size
        """Bytes that it takes, itself and its place included; 0 where nobody counts them."""
        self.due = due
        """Until then it is served without a thought; then somebody refreshes it."""
        self.stale = stale
        """From then on it is served only because a newer one is on its way."""
        self.end = end
        """From then on it is not served."""
        self.uses = 0
        """Hits since it last stood in line, up to `MOST_USES`; whoever serves it counts."""

    def become(self, other: Entry) -> None:
        """Take over another's value; readers in between see the old or the new one."""
        self.value, self.size = other.value, other.size
        self.end, self.stale, self.due = other.end, other.stale, other.due


class S3Fifo:
    """Entries by key, a bounded number of them. Safe to share between threads.

    New entries wait in a small queue. Those used again while there go on to the main one, the
    others leave, so that a scan passes through and harms nothing else. A key that comes back soon
    after it left (a ghost) goes to the main queue at once.

    Args:
        size: Entries at most; threads that write at the same moment may exceed it by one each.
        room: Bytes at most, by the entries' own account; None for as many as they are.
    """

    def __init__(self, size: int, room: int | None = None) -> None:
        self._size = size
        self._room = sys.maxsize if room is None else room
        self._used = 0
        self._entries: dict[str, Entry] = {}
        self.get = self._entries.get
        """The entry under a key, or None: the dictionary's own method, and so the fastest there is.
        Who serves the entry adds to its uses."""
        self._small: deque[Entry] = deque()
        self._main: deque[Entry] = deque()
        self._ghosts: OrderedDict[int, None] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def used(self) -> int:
        """Bytes of all entries, by their own account."""
        return self._used

    def set(self, entry: Entry) -> None:
        """Keep an entry, giving up others where there is no room."""
        held = self._entries.setdefault(entry.key, entry)
        if held is not entry:
            self._used += entry.size - held.size
            held.become(entry)
        else:
            self._used += entry.size
            is_back = self._ghosts.pop(hash(entry.key), self) is None
            (self._main if is_back else self._small).append(entry)
        # One thread makes room while the others go on.
        if self._is_over and self._lock.acquire(blocking=False):
            try:
                self._make_room()
            finally:
                self._lock.release()

    def remove(self, key: str) -> None:
        """Keep nothing under this key."""
        if (entry := self._entries.pop(key, None)) is None:
            return
        self._used -= entry.size
        # Its place in a queue stays, until such places are too many.
        if len(self._small) + len(self._main) > 2 * len(self._entries) + 64:
            with self._lock:
                self._drop_removed()

    def entries(self) -> list[Entry]:
        """All that is kept."""
        return list(self._entries.values())

    def recount(self) -> None:
        """Add the bytes up anew: threads that replaced one entry at once may have miscounted."""
        self._used = sum(entry.size for entry in self.entries())

    def clear(self) -> None:
        """Keep nothing."""
        with self._lock:
            self._entries.clear()
            self._used = 0
            self._small.clear()
            self._main.clear()
            self._ghosts.clear()

    def reset(self) -> None:
        """Forget the threads of a parent process, and what it has kept."""
        self._lock = threading.Lock()
        self.clear()

    @property
    def _is_over(self) -> bool:
        return len(self._entries) > self._size or self._used > self._room

    def _make_room(self) -> None:
        while self._is_over and (self._small or self._main):
            is_new = len(self._small) > len(self._entries) // 10 or not self._main
            entry = (self._small if is_new else self._main).popleft()
            if self._entries.get(entry.key) is not entry:
                continue  # removed in between
            if entry.uses:
                entry.uses = 0 if is_new else entry.uses - 1
                self._main.append(entry)
                continue
            if self._entries.pop(entry.key, None) is not None:
                self._used -= entry.size
            if is_new:
                self._remember(entry.key)

    def _remember(self, key: str) -> None:
        self._ghosts[hash(key)] = None
        while len(self._ghosts) > self._size:
            self._ghosts.popitem(last=False)

    def _drop_removed(self) -> None:
        for queue in (self._small, self._main):
            for _ in range(len(queue)):
                entry = queue.popleft()
                if self._entries.get(entry.key) is entry:
                    queue.append(entry)
