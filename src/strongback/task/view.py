"""Routes of tasks, and figures of the outbox."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field
from sqlalchemy.exc import SQLAlchemyError

from strongback.auth.principal import Principal
from strongback.log.setup import get_logger
from strongback.outbox import MAX_COUNTED, Outbox
from strongback.schema import RequestPath, Schema, Timestamp
from strongback.task.job import Jobs, JobState, TaskRecord
from strongback.task.permission import TaskPermission
from strongback.web.blueprint import APIBlueprint
from strongback.web.guard import needs
from strongback.web.injection import inject
from strongback.web.metrics import Gauge
from strongback.web.request import current_request
from strongback.web.translation import translate

api = APIBlueprint("sb_task", __name__, url_prefix="/tasks", tag="tasks")
jobs = inject(Jobs)
log = get_logger(__name__)


class TaskPath(RequestPath):
    """Path of a task."""

    id: Annotated[str, Field(max_length=36)]
    """Id of the task, from the response that started it."""


class JobProgress(Schema):
    """Progress of a task."""

    done: int
    """Number of completed steps."""
    total: int | None
    """Number of all steps; null while unknown."""
    message: str
    """Current step."""


class JobError(Schema):
    """Error of a failed task or attempt."""

    type: str
    """Kind of error."""
    message: str
    """Explanation of the error."""


class JobOut(Schema):
    """A background task."""

    id: str
    """Id of the task."""
    name: str
    """Name of the task, such as `article:import`."""
    state: JobState
    """State of the task."""
    progress: JobProgress
    """Progress of the current attempt."""
    result: Any
    """Result of the task; null until it has succeeded."""
    error: JobError | None
    """Error of the last attempt, if that has failed."""
    created_at: Timestamp
    """Time at which the task was created."""
    started_at: Timestamp | None
    """Start of the last attempt."""
    finished_at: Timestamp | None
    """End of the task, successful or not."""


def job_out(record: TaskRecord, locale: str) -> JobOut:
    """Return a task as its owner sees it, in a language."""
    error = record.error
    values = {name: getattr(record, name, None) for name in JobOut.model_fields}
    values["error"] = error and error | {"message": translate(error["message"], locale)}
    values["progress"] = JobProgress(done=record.done, total=record.total, message=record.message)
    return JobOut.model_validate(values)


@api.get("/<id>", responses={200: JobOut})
@needs(TaskPermission.READ)
def read_job(path: TaskPath, principal: Principal) -> JobOut:
    """Get one of your tasks; administrators can get any."""
    return job_out(jobs.get(path.id, _whose(principal)), current_request().locale)


@api.delete("/<id>", responses={204: None})
@needs(TaskPermission.READ)
def cancel_job(path: TaskPath, principal: Principal) -> None:
    """Cancel a task, before it begins or at its next progress report."""
    jobs.cancel(path.id, _whose(principal))


def _whose(principal: Principal) -> int | None:
    return None if principal.may(TaskPermission.MANAGE) else principal.user_id


def outbox_figures(outbox: Outbox) -> dict[str, float]:
    """Return the figures of the outbox for `/readyz`."""
    with outbox.database.scope():
        status = outbox.status()
    return {
        "waiting": status.waiting,
        "running": status.running,
        "dead": status.dead,
        "lag_seconds": round(status.lag, 3),
    }


def outbox_gauges(outbox: Outbox) -> list[Gauge]:
    """Return the gauges of the outbox for `/metrics`; none while the database does not answer."""
    try:
        figures = outbox_figures(outbox)
    except SQLAlchemyError as error:
        log.warning("outbox_figures_unavailable", error=type(error).__name__)
        return []
    lag = figures.pop("lag_seconds")
    return [
        Gauge(
            "outbox_messages", f"Messages in the outbox, by state, up to {MAX_COUNTED}.", figures
        ),
        Gauge(
            "outbox_lag_seconds",
            "For how long the oldest message that is not done has been due.",
            lag,
        ),
    ]
