from __future__ import annotations

from datetime import timedelta

import pytest

from strongback.config import Settings
from strongback.exceptions import ConfigurationError
from strongback.outbox import Outbox
from strongback.task import TaskContext, TaskGroup, TaskRegistry
from strongback.task.runner import GRACE
from strongback.task.runtime import MARGIN, visibility_timeout


@pytest.fixture
def registry(database) -> TaskRegistry:
    group = TaskGroup("test")

    @group.job("long", time_limit=timedelta(minutes=10))
    def long(task: TaskContext) -> None: ...

    @group.consumer("short", on="done", time_limit=timedelta(seconds=5))
    def short(task: TaskContext) -> None: ...

    registry = TaskRegistry(Outbox(database))
    registry.add(group)
    return registry


pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def timeout(settings: Settings, registry: TaskRegistry, value: int | None) -> int:
    return visibility_timeout(
        settings.model_copy(update={"task_visibility_timeout": value}), registry
    )


def test_a_task_stays_invisible_for_longer_than_any_may_take(settings, registry):
    longest = timedelta(minutes=10) + GRACE + MARGIN
    assert timeout(settings, registry, None) == longest.total_seconds()


def test_a_longer_time_may_be_chosen(settings, registry):
    assert timeout(settings, registry, 3600) == 3600


def test_a_shorter_time_is_refused_by_the_name_of_the_task(settings, registry):
    with pytest.raises(ConfigurationError, match=r"TASK_VISIBILITY_TIMEOUT: 300 s.*test:long"):
        timeout(settings, registry, 300)


def test_without_tasks_there_is_a_time_too(settings, database):
    assert timeout(settings, TaskRegistry(Outbox(database)), None) > 0
