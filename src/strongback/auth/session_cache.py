"""Cache of session states, so that most requests need no query for their session."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from strongback.auth.permission import Permission

TTL = 0.5
"""Lifetime of a state in seconds. A revocation takes effect within a second everywhere, which
includes reading the state and the age of the account in it, `ACCOUNT_TTL`."""
ACCOUNT_TTL = 0.4
"""Maximum age of accounts that are looked up for sessions, in seconds."""
SIZE = 10_000
"""Maximum number of states."""


@dataclass(frozen=True, slots=True)
class SessionState:
    """An active session and its account."""

    session_id: str
    user_id: int
    username: str
    permissions: frozenset[Permission]
    """Permissions of the account."""
    scope: frozenset[str] | None
    """Permissions that the session is limited to."""
    signed_in_at: datetime


class StateCache:
    """States by session id, each valid for `TTL` from before it was read."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._entries: dict[str, tuple[float, SessionState | None]] = {}
        self._generation = 0
        self._lock = threading.Lock()

    def get(
        self, session_id: str, load: Callable[[str], SessionState | None]
    ) -> SessionState | None:
        """The state, loaded if missing or too old; None if the session has ended."""
        entry = self._entries.get(session_id)
        if entry is not None and self._clock() < entry[0]:
            return entry[1]
        generation, expiry = self._generation, self._clock() + TTL
        state = load(session_id)
        with self._lock:
            # A state that was read before an invalidation must not be stored after it.
            if generation == self._generation:
                self._entries.pop(session_id, None)
                if len(self._entries) >= SIZE:
                    del self._entries[next(iter(self._entries))]  # the oldest one
                self._entries[session_id] = (expiry, state)
        return state

    def forget(self, *session_ids: str) -> None:
        """Drop the states of these sessions, or of all sessions if none is named."""
        with self._lock:
            self._generation += 1
            if not session_ids:
                self._entries.clear()
            for session_id in session_ids:
                self._entries.pop(session_id, None)
