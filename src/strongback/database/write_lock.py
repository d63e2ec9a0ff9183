"""A lock for SQLite's writers, who get it in the order in which they came.

SQLite lets one write at a time and does not queue the others: each asks again after a pause, so
that under load the unlucky one asks too late again and again until its patience ends.
"""

from __future__ import annotations

import sqlite3
from collections import deque
from threading import Lock

from sqlalchemy.exc import OperationalError


class WriteLock:
    """Lets the threads of a process write one after the other, first come, first served.

    A thread waits for it `timeout` seconds at most.
    """

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._guard = Lock()
        self._waiting: deque[Lock] = deque()
        self._is_taken = False

    def __enter__(self) -> None:
        """Wait for the lock; if it does not come in time, raise SQLite's own error for that."""
        with self._guard:
            if not self._is_taken:
                self._is_taken = True
                return
            gate = Lock()
            gate.acquire()
            self._waiting.append(gate)
        if not gate.acquire(timeout=self._timeout):
            self._give_up(gate)

    def __exit__(self, *_: object) -> None:
        """Hand the lock to the one who has waited longest."""
        with self._guard:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._is_taken = False

    def _give_up(self, gate: Lock) -> None:
        with self._guard:
            if gate not in self._waiting:
                return  # it came at the last moment
            self._waiting.remove(gate)
        busy = sqlite3.OperationalError("database is locked")
        busy.sqlite_errorcode = sqlite3.SQLITE_BUSY
        raise OperationalError("BEGIN IMMEDIATE", None, busy)
