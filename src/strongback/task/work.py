"""What a process needs for running tasks."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import timedelta

from strongback.config import Settings
from strongback.exceptions import ConfigurationError
from strongback.task.declaration import TaskRegistry
from strongback.task.lease import Leases
from strongback.task.runner import GRACE, Runner

MARGIN = timedelta(seconds=30)
"""Between the longest time limit and the default of `TASK_VISIBILITY_TIMEOUT`."""


@dataclass(frozen=True, slots=True)
class Work:
    """What a process needs for running tasks."""

    settings: Settings
    registry: TaskRegistry
    runner: Runner
    leases: Leases
    context: Callable[[], AbstractContextManager[object]]
    """Opens whatever a task may rely on, such as the application's context."""


def visibility_timeout(settings: Settings, registry: TaskRegistry) -> int:
    """How many seconds the broker waits for a worker before it gives a task to another.

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
