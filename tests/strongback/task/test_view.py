from __future__ import annotations

import pytest
from sqlalchemy import update

from strongback.outbox import Outbox
from strongback.task import Jobs, JobState, TaskGroup, TaskRecord, TaskRegistry

pytestmark = pytest.mark.speaks_sql


@pytest.fixture
def job_id(api) -> str:
    """A job that ada has started."""
    registry = api.app.services[TaskRegistry]
    if registry.get("test:count") is None:  # all tests share the application
        group = TaskGroup("test")
        group.job("count")(print)
        registry.add(group)
    jobs: Jobs = api.app.services[Jobs]
    with api.database.scope():
        return jobs.start("test:count", {"to": 3}, owner=2).id


def test_owner_sees_how_far_it_is(api, job_id):
    answer = api.call("GET", f"/tasks/{job_id}", by="ada")
    assert answer.status_code == 200
    assert answer.json | {"created_at": None} == {
        "id": job_id,
        "name": "test:count",
        "state": "queued",
        "progress": {"done": 0, "total": None, "message": ""},
        "result": None,
        "error": None,
        "created_at": None,
        "started_at": None,
        "finished_at": None,
    }


def test_administrator_sees_it_and_nobody_else(api, job_id):
    statuses = [
        api.call("GET", f"/tasks/{job_id}", by=by).status_code for by in ("admin", "bob", None)
    ]
    assert statuses == [200, 404, 401]


def test_cancelled_task_is_not_delivered(api, job_id):
    assert api.call("DELETE", f"/tasks/{job_id}", by="bob").status_code == 404
    assert api.call("DELETE", f"/tasks/{job_id}", by="ada").status_code == 204
    assert api.call("GET", f"/tasks/{job_id}", by="ada").json["state"] == "cancelled"
    with api.database.scope():
        assert api.app.services[Outbox].status().waiting == 0


def test_cancelling_twice_changes_nothing(api, job_id):
    statuses = [api.call("DELETE", f"/tasks/{job_id}", by="ada").status_code for _ in range(2)]
    assert statuses == [204, 204]


def test_finished_task_cannot_be_cancelled(api, job_id):
    values = {"state": JobState.SUCCEEDED}
    api.database.transact(lambda session: session.execute(update(TaskRecord).values(values)))
    answer = api.call("DELETE", f"/tasks/{job_id}", by="ada")
    assert (answer.status_code, answer.json["error_code"]) == (409, 10041)


def test_readiness_and_metrics_tell_of_the_outbox(api, job_id):
    client = api.app.test_client()
    figures = client.get("/readyz").json["services"]["outbox"]["figures"]
    assert figures["waiting"] == 1
    assert figures["lag_seconds"] >= 0
    text = client.get("/metrics").get_data(as_text=True)
    assert 'outbox_messages{state="waiting"} 1.0' in text
    assert "outbox_lag_seconds" in text
