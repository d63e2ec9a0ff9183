"""Periodic work on the indexes: builds what is missing, and repairs what differs."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import timedelta

from strongback.search.source import Need, Progress, Search
from strongback.task.context import TaskContext
from strongback.task.declaration import TaskGroup
from strongback.task.lease import Leases

SOON = timedelta(seconds=5)
HOURLY = timedelta(hours=1)
LIMIT = timedelta(minutes=30)
LEASE_SECONDS = 60.0
"""After its last batch a build that was killed is begun anew."""


def maintenance_tasks(search: Search, leases: Leases) -> TaskGroup:
    """Return the tasks `search:<index>-build` and `search:<index>-check` of all indexes."""
    group = TaskGroup("search")
    for name in search.sources:
        _declare(group, search, leases, name)
    return group


def lease_of(index: str) -> str:
    """Return the lease of the process that builds an index."""
    return f"search:{index}"


def _declare(group: TaskGroup, search: Search, leases: Leases, index: str) -> None:
    @group.periodic(f"{index}-build", every=SOON, time_limit=LIMIT)
    def build(_: TaskContext) -> None:
        """Build the index if it is missing: at a start, after a change of it, after its loss."""
        need = search.need(index)
        if need is Need.BUILD:
            _alone(leases, index, lambda progress: search.reindex(index, progress))
        elif need is Need.SETTINGS:
            _alone(leases, index, lambda _: search.send_settings(index))

    @group.periodic(f"{index}-check", every=HOURLY, time_limit=LIMIT)
    def check(_: TaskContext) -> None:
        """Repair what differs from the database, and build the index where it must be."""
        _alone(leases, index, lambda _: search.maintain(index))


def _alone(leases: Leases, index: str, do: Callable[[Progress], object]) -> None:
    """Do it unless another process is at it: of two builds at once one is in vain."""
    lease, holder = lease_of(index), uuid.uuid4().hex

    def keep(_: int = 0) -> bool:
        return leases.take(lease, holder, LEASE_SECONDS)

    if keep():
        try:
            do(keep)
        finally:
            leases.give_up(lease, holder)
