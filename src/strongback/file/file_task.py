"""Tasks of files: removing what was deleted, and sweeping up what was never completed."""

from __future__ import annotations

from datetime import timedelta

from strongback.file.files import REMOVED, Files
from strongback.task import TaskContext, TaskGroup

MAX_ATTEMPTS = 20
MAX_BACKOFF = timedelta(hours=1)
"""With twenty attempts, a store may be gone for half a day."""


def file_tasks(files: Files) -> TaskGroup:
    """The task group `file`."""
    group = TaskGroup("file")

    @group.consumer(
        "remove",
        on=REMOVED,
        queue="low",
        transactional=False,
        max_attempts=MAX_ATTEMPTS,
        max_backoff=MAX_BACKOFF,
    )
    def remove(_: TaskContext, *, keys: list[str]) -> None:
        """Remove objects from the store; those that are gone already are no error."""
        files.store.delete(keys)

    @group.periodic("sweep", every=timedelta(minutes=10))
    def sweep(_: TaskContext) -> None:
        """Remove what killed servers and absent clients have left."""
        files.sweep()

    return group
