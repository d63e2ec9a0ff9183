"""What is put right behind the requests: rows and cached values that are over."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from strongback.auth.session.service import SessionService
from strongback.cache import OUTDATED, CacheCare, Changes
from strongback.idempotency import Idempotency
from strongback.outbox import Outbox
from strongback.task import Jobs, Run, TaskGroup
from strongback.upload import Uploads
from strongback.web import inject

group = TaskGroup("maintenance")
sessions = inject(SessionService)
keys = inject(Idempotency)
uploads = inject(Uploads)
care = inject(CacheCare)
changes = inject(Changes)
outbox = inject(Outbox)
jobs = inject(Jobs)

# Each deletes in small transactions, and what a turn cannot finish the next one goes on with.
LIMIT = timedelta(minutes=5)


REPAIR_TRIES = 300
"""For some two days: Redis that is gone for a night is told everything afterwards."""


@group.consumer("cache", on=OUTDATED, queue="high", outside=True, batch=200, tries=REPAIR_TRIES)
def repair_cache(_: Run, payloads: list[dict[str, Any]]) -> None:
    """Remove from the cache what a process has changed that died before it could do so itself."""
    changes.repair(key for payload in payloads for key in payload["keys"])


@group.periodic("sessions", every=timedelta(hours=1), time_limit=LIMIT)
def clean_sessions(_: Run) -> None:
    """Delete sessions and refresh tokens that are over."""
    sessions.clean()


@group.periodic("idempotency-keys", every=timedelta(hours=1), time_limit=LIMIT)
def clean_idempotency_keys(_: Run) -> None:
    """Delete idempotency keys that are no longer remembered."""
    keys.clean()


@group.periodic("uploads", every=timedelta(minutes=10), time_limit=LIMIT)
def clean_uploads(_: Run) -> None:
    """Delete uploads that their jobs are done with."""
    uploads.clean()


@group.periodic("filters", every=timedelta(hours=1), time_limit=LIMIT)
def rebuild_filters(_: Run) -> None:
    """Build the cache's filters of known names anew, without those that are gone."""
    care.rebuild()


@group.periodic("inbox", every=timedelta(hours=1), time_limit=LIMIT)
def clean_inbox(_: Run) -> None:
    """Delete what is remembered of messages that are long gone."""
    outbox.forget_handled()


@group.periodic("tasks", every=timedelta(hours=1), time_limit=LIMIT)
def clean_tasks(_: Run) -> None:
    """Delete records of tasks that ended long ago."""
    jobs.clean()
