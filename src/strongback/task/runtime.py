"""Everything that a process needs to run tasks."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import timedelta

from structlog.contextvars import bind_contextvars, clear_contextvars

from strongback.config import Settings
from strongback.exceptions import ConfigurationError
from strongback.task.declaration import TIME_LIMIT, TaskRegistry
from strongback.task.lease import Leases
from strongback.task.runner import GRACE, Runner

MARGIN = timedelta(seconds=30)
"""Time between the longest time limit and the default of `TASK_VISIBILITY_TIMEOUT`."""


@dataclass(frozen=True, slots=True)
class TaskRuntime:
    """Everything that a process needs to run tasks."""

    settings: Settings
    registry: TaskRegistry
    runner: Runner
    leases: Leases
    context: Callable[[], AbstractContextManager[object]]
    """Opens the context that tasks run in, such as the application's."""

    def time_limit(self, name: str) -> float:
        """Seconds that a task may take."""
        task = self.registry.get(name)
        return (task.time_limit if task else TIME_LIMIT).total_seconds()

    def run(
        self,
        name: str,
        ids: Sequence[int] | None,
        request_id: str | None = None,
        *,
        is_redelivered: bool = False,
    ) -> None:
        """Run a task, with nothing left of the one before.

        Args:
            name: Name of the task.
            ids: Ids of its messages; None for a periodic task.
            request_id: Request that caused it.
            is_redelivered: Whether the worker that had it before is known to be dead.
        """
        clear_contextvars()
        if request_id is not None:
            bind_contextvars(request_id=request_id)
        try:
            with self.context():
                if ids is None:
                    self.runner.run_periodic(name)
                else:
                    self.runner.run(name, ids, is_redelivered=is_redelivered)
        finally:
            clear_contextvars()


def visibility_timeout(settings: Settings, registry: TaskRegistry) -> int:
    """Seconds after which the broker gives the task of a silent worker to another one.

    Raises:
        ConfigurationError: A task may take longer than that, and would run twice at once.
    """
    limits = {each.name: each.time_limit + GRACE for each in registry}
    name, longest = max(limits.items(), key=lambda item: item[1], default=("", MARGIN))
    seconds = longest.total_seconds()
    if (timeout := settings.task_visibility_timeout) is None:
        return math.ceil(seconds + MARGIN.total_seconds())
    if timeout <= seconds:
        raise ConfigurationError(
            f"TASK_VISIBILITY_TIMEOUT: {timeout} s is not above the {seconds:g} s that {name} may"
            " take, and another worker would begin it while it runs. Set a larger one, or leave it"
            " out."
        )
    return timeout
