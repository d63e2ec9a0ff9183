"""The engine of the local storage: a bounded map that evicts the least useful entries.

S3-FIFO, from Yang and others, "FIFO queues are all you need for cache eviction" (SOSP 2023). Chosen
by measurement (docs: cache): it forgets old favourites, which an LFU does not; it is not emptied by
a scan, as an LRU is; and a hit moves nothing, so that it needs no lock.
"""

from __future__ import annotations

import sys
import threading
from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import Any

MOST_USES = 3
"""Uses that are counted: enough to tell values that are used from those read once."""


@dataclass(slots=True, eq=False)
class Entry:
    """A value and its three moments, which are decided when it is stored and not at each hit."""

    key: str
    value: Any
    due: float
    """Until then it is fresh; then one reader refreshes it."""
    stale: float
    """From then on it is served only while a newer one is loaded."""
    end: float
    """From then on it is not served."""
    size: int = 0
    """Bytes with its key and place; 0 if they are not counted."""
    uses: int = 0
    """Hits since it last entered a queue, up to `MOST_USES`; counted by the reader."""

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
        size: Maximum number of entries; threads that write at once may exceed it by one each.
        room: Maximum number of bytes, as the entries count them; None for no bound.
    """

    def __init__(self, size: int, room: int | None = None) -> None:
        self._size = size
        self._room = sys.maxsize if room is None else room
        self.used = 0
        """Bytes of all entries, as they count them."""
        self._entries: dict[str, Entry] = {}
        self.get = self._entries.get
        """Returns the entry under a key, or None: the dictionary's own method, and so the fastest.
        The reader adds to the entry's uses."""
        self._small: deque[Entry] = deque()
        self._main: deque[Entry] = deque()
        self._ghosts: OrderedDict[int, None] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._entries)

    def set(self, entry: Entry) -> None:
        """Keep an entry, and evict others where there is no room."""
        held = self._entries.setdefault(entry.key, entry)
        if held is not entry:
            self.used += entry.size - held.size
            held.become(entry)
        else:
            self.used += entry.size
            is_back = self._ghosts.pop(hash(entry.key), self) is None
            (self._main if is_back else self._small).append(entry)
        # One thread makes room while the others go on.
        if self._is_over and self._lock.acquire(blocking=False):
            try:
                self._make_room()
            finally:
                self._lock.release()

    def remove(self, key: str) -> None:
        """Forget this key."""
        if (entry := self._entries.pop(key, None)) is None:
            return
        self.used -= entry.size
        # Its place in a queue stays, until such places are too many.
        if len(self._small) + len(self._main) > 2 * len(self._entries) + 64:
            with self._lock:
                self._drop_removed()

    def entries(self) -> list[Entry]:
        """Return all entries."""
        return list(self._entries.values())

    def recount(self) -> None:
        """Add up the bytes again: threads that replaced one entry at once may have miscounted."""
        self.used = sum(entry.size for entry in self.entries())

    def clear(self) -> None:
        """Forget all keys."""
        with self._lock:
            self._entries.clear()
            self.used = 0
            self._small.clear()
            self._main.clear()
            self._ghosts.clear()

    def reset(self) -> None:
        """Forget the threads and entries of a parent process."""
        self._lock = threading.Lock()
        self.clear()

    @property
    def _is_over(self) -> bool:
        return len(self._entries) > self._size or self.used > self._room

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
                self.used -= entry.size
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
