from __future__ import annotations

import pytest

from strongback.task import PermanentFailure, TaskContext, TaskGroup, TaskRegistry
from strongback.task.job import Jobs
from tests.strongback.notification.conftest import Teahouse

pytestmark = pytest.mark.speaks_sql


def brew(task: TaskContext, *, leaves: int) -> int:
    if not leaves:
        raise PermanentFailure("There are no leaves.")
    task.progress(leaves, leaves)
    return leaves


@pytest.fixture
def jobs(teahouse: Teahouse) -> Jobs:
    registry = teahouse.app.services[TaskRegistry]
    if registry.get("tea:brew") is None:  # all tests share the application
        group = TaskGroup("tea")
        group.job("brew")(brew)
        registry.add(group)
    return teahouse.app.services[Jobs]


def start(teahouse: Teahouse, jobs: Jobs, leaves: int) -> str:
    with teahouse.app.database.scope():
        return jobs.start("tea:brew", {"leaves": leaves}, owner=3).id


def test_its_owner_is_told_once_that_it_has_finished(teahouse, jobs):
    job_id = start(teahouse, jobs, 3)
    assert teahouse.deliver()[:2] == ["tea:brew", "notification:inbox"]
    assert teahouse.told() == [(3, f"task:{job_id}:succeeded")]


def test_its_owner_is_told_that_it_has_failed(teahouse, jobs):
    job_id = start(teahouse, jobs, 0)
    teahouse.deliver()
    assert teahouse.told() == [(3, f"task:{job_id}:failed")]


def test_one_that_was_cancelled_is_not_told(teahouse, jobs):
    job_id = start(teahouse, jobs, 3)
    with teahouse.app.database.scope():
        jobs.cancel(job_id, owner=3)
    teahouse.deliver()
    assert teahouse.told() == []
