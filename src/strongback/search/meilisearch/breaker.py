"""A fuse: nobody waits for a server that has not answered for a while."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from strongback.log.setup import get_logger
from strongback.search.exceptions import SearchUnavailable

log = get_logger(__name__)

TOLERATED_FAILURES = 3
"""Failures in a row after which callers are refused at once."""
PAUSE = 2.0
"""Seconds until one caller may try again, for all others."""


class Breaker:
    """Counts failures in a row. Safe to share between threads.

    Args:
        clock: Tells seconds, from anywhere.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._failures = 0
        self._next_try = 0.0
        self._gone_since: float | None = None

    def admit(self) -> None:
        """Let a call pass: always while all is well, else one in each pause.

        Raises:
            SearchUnavailable: The server has not answered; it is not asked.
        """
        with self._lock:
            if self._gone_since is None:
                return
            if self._clock() < self._next_try:
                raise SearchUnavailable
            self._next_try = self._clock() + PAUSE

    def note_success(self) -> None:
        """The server has answered."""
        with self._lock:
            since, self._gone_since, self._failures = self._gone_since, None, 0
        if since is not None:
            log.warning("search_recovered", seconds=round(self._clock() - since, 1))

    def note_failure(self, reason: str) -> None:
        """The server has not answered."""
        with self._lock:
            self._failures += 1
            self._next_try = self._clock() + PAUSE
            if self._failures < TOLERATED_FAILURES or self._gone_since is not None:
                return
            self._gone_since = self._clock()
        log.warning("search_unavailable", engine="meilisearch", reason=reason)
