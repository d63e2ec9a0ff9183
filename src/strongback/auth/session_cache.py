"""What a process remembers of sessions, so that a request costs no round trip to the database."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from strongback.auth.permission import Permission

TTL = 0.5
"""Seconds that a state is believed. A revocation is to be felt within a second everywhere; reading
the state takes its share of that, and the account in it may be remembered for `ACCOUNT_TTL`."""
ACCOUNT_TTL = 0.4
"""Seconds that whoever looks accounts up for sessions may remember one."""
SIZE = 10_000
"""States kept at most."""


@dataclass(frozen=True, slots=True)
class SessionState:
    """A session that is good, and whose."""

    session_id: str
    user_id: int
    username: str
    permissions: frozenset[Permission]
    """What the account's roles allow."""
    scope: frozenset[str] | None
    """What the session is narrowed to."""
    signed_in_at: datetime
    """When it was opened."""


class StateCache:
    """States by session id, each believed for `TTL` from before it was read.

    Args:
        clock: Seconds that never go back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._entries: dict[str, tuple[float, SessionState | None]] = {}
        self._generation = 0
        self._lock = threading.Lock()

    def get(
        self, session_id: str, load: Callable[[str], SessionState | None]
    ) -> SessionState | None:
        """The state, loaded if it is not known or too old; None for a session that is not good."""
        entry = self._entries.get(session_id)
        if entry is not None and self._clock() < entry[0]:
            return entry[1]
        generation, expiry = self._generation, self._clock() + TTL
        state = load(session_id)
        with self._lock:
            # A state that was read before somebody forgot it must not come back.
            if generation == self._generation:
                self._store(session_id, (expiry, state))
        return state

    def forget(self, *session_ids: str) -> None:
        """Believe nothing that was read before now, of these sessions or, without any, of all."""
        with self._lock:
            self._generation += 1
            if not session_ids:
                self._entries.clear()
            for session_id in session_ids:
                self._entries.pop(session_id, None)

    def _store(self, session_id: str, entry: tuple[float, SessionState | None]) -> None:
        self._entries.pop(session_id, None)
        if len(self._entries) >= SIZE:
            del self._entries[next(iter(self._entries))]  # the one that was read longest ago
        self._entries[session_id] = entry
