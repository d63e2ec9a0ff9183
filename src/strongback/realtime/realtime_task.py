"""Consumers of the outbox that publish what was emitted, and close connections."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from strongback.auth.session_service import SESSION_ENDED
from strongback.realtime.broker import Broker, BrokerUnavailable
from strongback.realtime.realtime import DISCONNECT, PUBLISH, encode
from strongback.task.context import PermanentFailure, TaskContext
from strongback.task.declaration import TaskGroup

LIMITS: dict[str, Any] = {
    "queue": "high",
    "transactional": False,
    "backoff": timedelta(milliseconds=100),
    # A broker that comes back finds everybody at once.
    "max_backoff": timedelta(seconds=2),
    # A day of it: only a broker that is away is tried again.
    "max_attempts": 50_000,
}


def realtime_tasks(broker: Broker) -> TaskGroup:
    """Return the consumers."""
    group = TaskGroup("realtime")

    @group.consumer("publish", on=PUBLISH, batch=100, **LIMITS)
    def publish(_task: TaskContext, messages: list[dict[str, Any]]) -> None:
        """Publish what was emitted; what was published already is left out by its id."""
        for message in messages:
            try:
                channels, key = message["channels"], message["id"]
                broker.publish(channels, encode(message["data"]), idempotency_key=key)
            except BrokerUnavailable:
                raise
            except Exception as error:
                raise PermanentFailure(f"it cannot be published: {error}") from error

    @group.consumer("disconnect", on=DISCONNECT, **LIMITS)
    @group.consumer("end-sessions", on=SESSION_ENDED, **LIMITS)
    def disconnect(_task: TaskContext, *, user_id: int, session_ids: Sequence[str] | None) -> None:
        """Close the connections of an account, or of some of its sessions."""
        for session_id in [""] if session_ids is None else session_ids:
            broker.disconnect(user_id, session_id)

    return group
