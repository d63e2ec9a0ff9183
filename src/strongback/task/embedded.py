"""The embedded mode: Celery's worker and beat in threads of the web server's process.

The broker is the process's memory. What is queued there at its end is lost there and still in the
outbox, from which it is delivered again.
"""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from typing import Any

from celery import _state
from celery.app.trace import setup_worker_optimizations
from celery.bootsteps import RUN  # type: ignore[attr-defined]  # the stubs lack it
from celery.worker import WorkController
from celery.worker.consumer import Consumer

from strongback.log.setup import get_logger
from strongback.task.celery_app import TaskCelery, build_deadlines
from strongback.task.celery_beat import LeasedScheduler
from strongback.task.work import Work

log = get_logger(__name__)

WAIT = 0.2
"""Seconds for which the worker waits for a message before it sees whether it is to stop."""


class EmbeddedWorker:
    """A worker and a beat.

    Args:
        celery: With the broker in memory.
        work: What runs the tasks.
    """

    def __init__(self, celery: TaskCelery, work: Work) -> None:
        celery.work = work
        self._celery = celery
        self._patience = work.settings.task_stop_timeout
        self._deadlines = celery.deadlines = build_deadlines()
        hostname = f"embedded-{os.getpid()}"
        # Without it a thread would look for a task's Celery in a variable that is another's.
        setup_worker_optimizations(celery, hostname)
        self._worker = WorkController(
            app=celery,
            hostname=hostname,
            pool_cls="threads",
            concurrency=work.settings.task_threads,
            consumer_cls=_Consumer,
            without_gossip=True,
            without_mingle=True,
            without_heartbeat=True,
        )
        # The worker has set it for every thread of the process.
        _state._set_task_join_will_block(False)  # type: ignore[attr-defined]  # noqa: SLF001, FBT003  above
        self._stopped = threading.Event()
        self._threads = [
            threading.Thread(target=self._worker.start, name="task-worker", daemon=True),
            threading.Thread(target=self._tick, name="task-beat", daemon=True),
        ]

    def start(self) -> None:
        """Begin to run tasks."""
        self._deadlines.start()
        for thread in self._threads:
            thread.start()
        log.info("tasks_embedded")

    def stop(self) -> None:
        """Finish the running tasks; one that takes too long is left to the end of the process."""
        self._stopped.set()
        stopping = threading.Thread(target=self._worker.stop, name="task-stop", daemon=True)
        stopping.start()
        stopping.join(self._patience)
        for thread in self._threads:
            thread.join(1)
        self._deadlines.stop()
        if stopping.is_alive():
            log.warning("tasks_left_running", patience=self._patience)

    def _tick(self) -> None:
        beat = LeasedScheduler(self._celery)
        while not self._stopped.wait(beat.tick()):
            pass
        beat.close()


def _loop(obj: Any, connection: Any, consumer: Any, blueprint: Any, *args: Any, **_: Any) -> None:
    """Celery's own loop, which would see only every two seconds whether it is to stop."""
    qos = args[1]
    consumer.on_message = obj.create_task_handler()
    consumer.consume()
    obj.on_ready()
    while blueprint.state == RUN and obj.connection:
        if qos.prev != qos.value:
            qos.update()
        obj.perform_pending_operations()
        with suppress(TimeoutError):
            connection.drain_events(timeout=WAIT)


class _Consumer(Consumer):
    loop = staticmethod(_loop)
