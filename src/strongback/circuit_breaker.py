"""A circuit breaker: nobody waits for a server that is known not to answer.

After some failures in a row the circuit opens, and callers do without the server at once. A thread
pings it then, and closes the circuit when it answers.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import structlog

log = structlog.get_logger(__name__)

TOLERATED_FAILURES = 3
"""Failures in a row that open a circuit. One may be a connection that had gone stale."""


class CircuitBreaker:
    """Stands between callers and a server. Safe to share between threads.

    Args:
        server: The server's name in the log.
        answers: Pings the server and tells whether it answers; gives up by itself.
        tolerated: Failures in a row that open the circuit.
        pause: Seconds between pings while it is open.
    """

    def __init__(
        self,
        server: str,
        answers: Callable[[], bool],
        *,
        tolerated: int = TOLERATED_FAILURES,
        pause: float = 1.0,
    ) -> None:
        self._server = server
        self._answers = answers
        self._tolerated = tolerated
        self._pause = pause
        self._lock = threading.Lock()
        self.failures = 0
        self.opened_at: float | None = None
        """Monotonic time of the opening; None while the circuit is closed."""
        self._thread: threading.Thread | None = None
        self._stopped = threading.Event()

    @property
    def is_open(self) -> bool:
        """Whether the server counts as gone, so that callers do without it."""
        if self.opened_at is None:
            return False
        self.suspect()  # a forked child has inherited the state and not the thread
        return True

    def note_success(self) -> None:
        """Note that the server has answered a caller."""
        self.failures = 0

    def note_failure(self, reason: str) -> None:
        """Note that the server has failed a caller; open the circuit if that was one too many."""
        with self._lock:
            self.failures += 1
            if self.failures >= self._tolerated:
                self._open(reason)
        if self.opened_at is not None:
            self.suspect()

    def close(self) -> None:
        """End the thread that pings."""
        self._stopped.set()
        if (thread := self._thread) is not None and thread.is_alive():
            thread.join()

    def _open(self, reason: str) -> None:
        if self.opened_at is None:
            self.opened_at = time.monotonic()
            log.warning("circuit_opened", server=self._server, reason=reason)

    def suspect(self) -> None:
        """Have the server pinged, and open the circuit if it does not answer."""
        with self._lock:
            if self._stopped.is_set() or (self._thread is not None and self._thread.is_alive()):
                return
            name = f"{self._server}-breaker"
            self._thread = threading.Thread(target=self._ping, name=name, daemon=True)
            self._thread.start()

    def _ping(self) -> None:
        while not (self.opened_at is not None and self._stopped.wait(self._pause)):
            is_answered = self._answers()
            with self._lock:
                if not is_answered:
                    self._open("a ping was not answered")
                    continue
                self.failures, self._thread = 0, None
                if self.opened_at is not None:
                    seconds = round(time.monotonic() - self.opened_at, 1)
                    log.warning("circuit_closed", server=self._server, seconds=seconds)
                    self.opened_at = None
                return
