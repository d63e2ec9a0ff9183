"""Maintenance behind the requests: deletes expired rows, and repairs the cache."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

from strongback.auth.session_service import SessionService
from strongback.cache import OUTDATED, CacheInvalidator, CacheMaintenance
from strongback.idempotency import Idempotency
from strongback.outbox import Outbox
from strongback.services import Services
from strongback.task.context import TaskContext
from strongback.task.declaration import TaskGroup
from strongback.task.job import Jobs
from strongback.upload import Uploads

# Each deletes in small transactions; what one run cannot finish, the next one continues.
LIMIT = timedelta(minutes=5)
HOURLY = timedelta(hours=1)
REPAIR_ATTEMPTS = 300
"""About two days: a Redis that was away for a night gets everything afterwards."""


def maintenance_tasks(services: Services) -> TaskGroup:
    """Return the group `maintenance`, for the services that the application has."""
    group, invalidator = TaskGroup("maintenance"), services[CacheInvalidator]

    @group.consumer(
        "cache",
        on=OUTDATED,
        queue="high",
        transactional=False,
        batch=200,
        max_attempts=REPAIR_ATTEMPTS,
    )
    def repair_cache(_: TaskContext, payloads: list[dict[str, Any]]) -> None:
        """Invalidate what a process changed that died before it could invalidate it."""
        invalidator.repair(key for payload in payloads for key in payload["keys"])

    for name, clean, every in _cleaning(services):
        group.periodic(name, every=every, time_limit=LIMIT)(_task(clean))
    return group


def _cleaning(services: Services) -> Iterator[tuple[str, Callable[[], object], timedelta]]:
    if sessions := services.find(SessionService):
        yield "sessions", sessions.clean, HOURLY
    yield "idempotency-keys", services[Idempotency].clean, HOURLY
    yield "uploads", services[Uploads].clean, timedelta(minutes=10)
    yield "filters", services[CacheMaintenance].rebuild, HOURLY
    yield "inbox", services[Outbox].forget_handled, HOURLY
    yield "tasks", services[Jobs].clean, HOURLY


def _task(clean: Callable[[], object]) -> Callable[[TaskContext], None]:
    def run(_: TaskContext) -> None:
        clean()

    return run
