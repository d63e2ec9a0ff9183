"""Whose connections the process has, and who was disconnected lately."""

from __future__ import annotations

from collections import deque

from strongback.realtime.hub import Subscriber
from strongback.realtime.message import Close, Identity

REMEMBERED = 1000
"""Disconnected users and sessions that are remembered for tokens that are just being looked at."""


class Users:
    """The connections of each user."""

    def __init__(self) -> None:
        self._connections: dict[int, dict[Subscriber, None]] = {}
        self._ended: deque[tuple[int, str]] = deque(maxlen=REMEMBERED)
        self.endings = 0
        """How often somebody was disconnected, since the start."""

    def __len__(self) -> int:
        return len(self._connections)

    def add(self, user_id: int, connection: Subscriber, limit: int) -> bool:
        """Note whose connection it is; tell whether the user does not have too many."""
        connections = self._connections.setdefault(user_id, {})
        if len(connections) >= limit:
            return False
        connections[connection] = None
        return True

    def remove(self, user_id: int, connection: Subscriber) -> None:
        """Forget a connection."""
        connections = self._connections.get(user_id, {})
        connections.pop(connection, None)
        if not connections:
            self._connections.pop(user_id, None)

    def end(self, user_id: int, session_id: str, close: Close) -> None:
        """Close the connections of a user, or of one session."""
        self._ended.append((user_id, session_id))
        self.endings += 1
        for connection in list(self._connections.get(user_id, ())):
            identity = connection.identity
            if not session_id or (identity is not None and identity.session_id == session_id):
                connection.end(close)

    def has_ended(self, identity: Identity, since: int) -> bool:
        """Whether a user or session was disconnected after so many had been."""
        names = {(identity.user_id, ""), (identity.user_id, identity.session_id)}
        news = self.endings - since
        return news > REMEMBERED or any(
            each in names for each in list(self._ended)[len(self._ended) - news :]
        )
