"""Celery, set up to lose nothing: one Celery task for each declared one.

Celery carries ids of outbox messages; attempts, retries and results are the `Runner`'s. A message
that is lost or delivered twice does no harm, and the broker needs no backup.
"""

from __future__ import annotations

import signal
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NoReturn

from celery import Celery, Task
from kombu import Exchange, Queue

from strongback.task.deadline import Deadlines, SoftTimeLimitExceeded
from strongback.task.declaration import QUEUES, Declaration
from strongback.task.runner import GRACE
from strongback.task.runtime import TaskRuntime, visibility_timeout

START_TIMEOUT = 30
"""Seconds in which a child process has to be ready."""
LOST_WAIT = 1
"""Seconds for which the result of a child that has died may still arrive."""


class TaskCelery(Celery):
    """Celery, and the runtime of its tasks in this process."""

    runtime: TaskRuntime
    """Replaced in each child process, after the fork."""
    deadlines: Deadlines | None = None
    """Set where tasks run in threads, which Celery's time limits do not reach."""

    def perform(self, name: str, request: Any, ids: list[int] | None) -> None:
        """Run a task, for messages of these ids; a periodic one has none."""
        is_redelivered = bool((request.delivery_info or {}).get("redelivered"))
        with self._within_limit(name):
            request_id = request.get("request_id")
            self.runtime.run(name, ids, request_id, is_redelivered=is_redelivered)

    def _within_limit(self, name: str) -> AbstractContextManager[None]:
        if self.deadlines is not None:
            return self.deadlines.within(name, self.runtime.time_limit(name))
        # Celery sends this signal to the process. Its own handler, set once the process is ready,
        # raises an exception that a task could not name without importing Celery.
        signal.signal(signal.SIGUSR1, _exceed)
        return nullcontext()


def _exceed(*_: object) -> NoReturn:
    raise SoftTimeLimitExceeded


def build_celery(runtime: TaskRuntime) -> TaskCelery:
    """Return Celery with a task for each declared one, not connected yet."""
    celery = TaskCelery("strongback", set_as_current=False)
    celery.conf.update(_configuration(runtime))
    celery.runtime = runtime
    for each in runtime.registry:
        _register(celery, each)
    celery.finalize()
    return celery


def _configuration(runtime: TaskRuntime) -> dict[str, Any]:
    return {
        "broker_url": runtime.settings.broker_address,
        "broker_transport_options": {
            "visibility_timeout": visibility_timeout(runtime.settings, runtime.registry),
            # Messages that were invisible for too long come back within a second, all of them.
            "unacked_restore_interval": 1,
            "unacked_restore_throttle": 1,
            "unacked_restore_limit": 1000,
            # A worker that dies while it looks blocks the others for this many seconds.
            "unacked_mutex_expire": 1,
            "socket_connect_timeout": 5,
            "socket_timeout": 5,
            "socket_keepalive": True,
            "priority_steps": [0],  # queues have names here, not priorities
        },
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        # A broker that refuses may accept a moment later: after a fail-over it is read-only, loads,
        # or lacks replicas or memory. By default Celery ends the worker for good.
        "broker_channel_error_retry": True,
        # JSON only: pickle would run any code in the queue.
        "accept_content": ["json"],
        "task_serializer": "json",
        "enable_utc": True,
        "timezone": "UTC",
        # A message is acknowledged after its task: when its worker dies, or is killed for its time
        # limit, another one gets it.
        "task_acks_late": True,
        "task_acks_on_failure": True,
        "task_acks_on_timeout": False,
        "task_reject_on_worker_lost": True,
        "worker_prefetch_multiplier": 1,
        # States and results are in our own table, in the effect's own transaction.
        "task_ignore_result": True,
        "task_default_queue": QUEUES[0],
        "task_queues": [Queue(name, Exchange("", "direct"), routing_key=name) for name in QUEUES],
        "task_create_missing_queues": False,
        "task_routes": {each.name: {"queue": each.queue} for each in runtime.registry},
        "worker_hijack_root_logger": False,
        "worker_redirect_stdouts": False,
        "worker_proc_alive_timeout": START_TIMEOUT,
        "worker_lost_wait": LOST_WAIT,
        "beat_scheduler": "strongback.task.celery_beat:LeasedScheduler",
        "beat_schedule": {
            each.name: {"task": each.name, "schedule": each.every}
            for each in runtime.registry
            if each.every is not None
        },
    }


def _register(celery: TaskCelery, declaration: Declaration) -> None:
    options: dict[str, Any] = {
        "name": declaration.name,
        "soft_time_limit": declaration.time_limit.total_seconds(),
        "time_limit": (declaration.time_limit + GRACE).total_seconds(),
        "bind": True,
        "shared": False,
        "lazy": False,
    }

    def run(task: Task[..., None], ids: list[int] | None = None) -> None:
        celery.perform(declaration.name, task.request, ids)

    celery.task(**options)(run)
