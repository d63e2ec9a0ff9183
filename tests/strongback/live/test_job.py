from __future__ import annotations

from typing import Any

import pytest

from strongback.realtime import Realtime
from strongback.task import Jobs, TaskContext, TaskGroup, TaskRegistry
from tests.support.api import API, TrustingAuthenticator
from tests.support.live import grant, published
from tests.support.work import work


def count(task: TaskContext, *, to: int, size: int = 0) -> str:
    assert task.jobs is not None
    assert task.job_id is not None
    for number in range(1, to + 1):
        task.jobs.report(task.job_id, number, to, f"step {number}")
    return "x" * size


@pytest.fixture
def job_id(api: API) -> str:
    """A job of ada's that counts."""
    registry = api.app.services[TaskRegistry]
    if registry.get("test:count") is None:
        group = TaskGroup("test")
        group.job("count")(count)
        registry.add(group)
    return start(api, to=200)


def start(api: API, **payload: int) -> str:
    with api.database.scope():
        return api.app.services[Jobs].start("test:count", payload, owner=2).id


def read(api: API, job_id: str) -> Any:
    return api.call("GET", f"/tasks/{job_id}", by="ada").json


def test_whoever_subscribes_gets_its_present_state(api, job_id):
    authenticate = TrustingAuthenticator()
    channel, state = f"task:{job_id}", read(api, job_id)
    for by in ("ada", "admin"):
        found = grant(api.app, authenticate(f"Bearer {by}"), channel)
        assert found is not None
        assert found.data == state
    for by in ("bob", "ada -task:read"):
        assert grant(api.app, authenticate(f"Bearer {by}"), channel) is None
    assert grant(api.app, authenticate("Bearer ada"), "task:none") is None


def test_publishes_the_last_state_and_a_few_of_the_steps_between(api, job_id, monkeypatch):
    stream = api.app.services[Realtime].broker
    seen: list[str] = []
    jobs = api.app.services[Jobs]
    heard = [*jobs.on_change, lambda record: seen.append(record.state)]
    monkeypatch.setattr(jobs, "on_change", heard)
    work(api.app)
    assert len(seen) > 200
    (last,) = published(api.app, f"task:{job_id}")
    assert last == read(api, job_id)
    assert last["state"] == "succeeded"
    top = stream.history(f"task:{job_id}", 0).top
    assert 2 <= top.offset < 100


def test_a_result_that_is_too_large_is_left_out(api, job_id):
    large = start(api, to=1, size=20_000)
    work(api.app)
    (last,) = published(api.app, f"task:{large}")
    assert (last["state"], last["result"]) == ("succeeded", None)


def test_tells_that_it_was_cancelled(api, job_id):
    api.call("DELETE", f"/tasks/{job_id}", by="ada")
    (last,) = published(api.app, f"task:{job_id}")
    assert last["state"] == "cancelled"
