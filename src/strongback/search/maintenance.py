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
        _Maintenance(search, leases, name).declare(group)
    return group


def lease_of(index: str) -> str:
    """Return the lease of the process that builds an index."""
    return f"search:{index}"


class _Maintenance:
    def __init__(self, search: Search, leases: Leases, index: str) -> None:
        self._search = search
        self._leases = leases
        self._index = index

    def declare(self, group: TaskGroup) -> None:
        for name, do, every in (("build", self._build, SOON), ("check", self._check, HOURLY)):
            group.periodic(f"{self._index}-{name}", every=every, time_limit=LIMIT)(do)

    def _build(self, _: TaskContext) -> None:
        """Build the index if it is missing: at a start, after a change of it, after its loss."""
        need = self._search.need(self._index)
        if need is Need.BUILD:
            self._alone(lambda progress: self._search.reindex(self._index, progress))
        elif need is Need.SETTINGS:
            self._alone(lambda _: self._search.send_settings(self._index))

    def _check(self, _: TaskContext) -> None:
        """Repair what differs from the database, and build the index where it must be."""
        self._alone(lambda _: self._search.maintain(self._index))

    def _alone(self, do: Callable[[Progress], object]) -> None:
        """Do it unless another process is at it: of two builds at once one is in vain."""
        lease, holder = lease_of(self._index), uuid.uuid4().hex

        def keep(_: int = 0) -> bool:
            return self._leases.take(lease, holder, LEASE_SECONDS)

        if keep():
            try:
                do(keep)
            finally:
                self._leases.give_up(lease, holder)
