"""The truth that several processes agree on: the version of each key, and when it came to be."""

from __future__ import annotations

import fcntl
import mmap
import struct
import threading
import time
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from pathlib import Path

KEYS = 64
HISTORY = 8192
"""Versions of a key whose moments are remembered."""
_VERSION, _MOMENT = struct.Struct("q"), struct.Struct("d")
_MOMENTS = KEYS * _VERSION.size


class Ledger:
    """A database in miniature, in a file that is mapped into every process.

    Moments are of the monotonic clock, which on Linux is one for all processes.
    """

    def __init__(self, path: Path) -> None:
        size = _MOMENTS + KEYS * HISTORY * _MOMENT.size
        if not path.exists():
            path.write_bytes(bytes(size))
        self._file = path.open("r+b")
        self._map = mmap.mmap(self._file.fileno(), size)
        self._locks = [threading.Lock() for _ in range(KEYS)]

    def version(self, key: int) -> int:
        """The version that is committed."""
        return int(_VERSION.unpack_from(self._map, key * _VERSION.size)[0])

    def commit(self, key: int) -> int:
        """Write a new version; gives it."""
        # The file's lock keeps other processes away, not other threads of this one.
        with self._locks[key]:
            fcntl.lockf(self._file, fcntl.LOCK_EX, 1, key)
            try:
                version = self.version(key) + 1
                if version >= HISTORY:
                    raise SystemExit(f"more than {HISTORY} versions of a key: shorten the run")
                place = _MOMENTS + (key * HISTORY + version) * _MOMENT.size
                _MOMENT.pack_into(self._map, place, time.monotonic())
                _VERSION.pack_into(self._map, key * _VERSION.size, version)
                return version
            finally:
                fcntl.lockf(self._file, fcntl.LOCK_UN, 1, key)

    def committed_at(self, key: int, version: int) -> float:
        """When a version came to be."""
        place = _MOMENTS + (key * HISTORY + version) * _MOMENT.size
        return float(_MOMENT.unpack_from(self._map, place)[0])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._map.close()
        self._file.close()
