"""The processes of `celery … worker`: what happens in which of them, and how they end.

Tasks run in child processes, and each child builds its application anew, after the fork: threads
and connections do not survive one. Each child also sends what its tasks have written into the
outbox, so that one task follows another without waiting for anybody to look.
"""

from __future__ import annotations

import os
import signal
import threading
import warnings
from collections.abc import Callable
from typing import Any

from billiard import pool
from celery import bootsteps, signals
from celery.concurrency.thread import TaskPool as ThreadPool
from celery.exceptions import CPendingDeprecationWarning
from celery.worker import WorkController

from strongback.log.setup import configure_logging, get_logger
from strongback.task.alive import INTERVAL, touch
from strongback.task.celery_app import TaskCelery, build_celery
from strongback.task.celery_beat import stop_between_ticks
from strongback.task.deadline import Deadlines
from strongback.task.process import TaskProcess

log = get_logger(__name__)

ANSWER_READ_TRIES = 10
"""Tenths of a second; billiard itself waits for half a minute."""


def build_worker(load: Callable[[], TaskProcess]) -> TaskCelery:
    """Return Celery for its own command: `worker`, `beat`, `inspect` and so on.

    Args:
        load: Builds the application's part in this; called once in each process.

    Raises:
        ConfigurationError: A task may take longer than the broker waits for it.
    """
    process = load()
    celery = build_celery(process.work)
    # Said at each lost connection, whatever is set.
    warnings.filterwarnings("ignore", r"\s*In Celery 5\.1", CPendingDeprecationWarning)
    celery.steps["worker"].add(Alive)
    _Life(celery, process, load).connect()
    return celery


class Alive(bootsteps.StartStopStep):
    """Has a worker give signs from its event loop, which stands still without the broker."""

    requires = ("celery.worker.components:Timer",)

    def start(self, parent: WorkController) -> None:
        """Begin; the loop ends with the worker."""
        app: TaskCelery = parent.app
        timer: Any = parent.timer  # the stubs take it for threading's
        timer.call_repeatedly(INTERVAL, touch, (app.work.settings,))


class _Life:
    """What happens at the turns of a worker process's life."""

    def __init__(
        self, celery: TaskCelery, process: TaskProcess, load: Callable[[], TaskProcess]
    ) -> None:
        self._celery = celery
        self._process = process
        self._load = load
        self._settings = process.work.settings

    def connect(self) -> None:
        """Have Celery call this; its signals keep nothing alive unless they are told to."""
        signals.setup_logging.connect(self.set_up_logging, weak=False)
        signals.beat_init.connect(stop_between_ticks, weak=False)
        signals.worker_init.connect(self.begin, weak=False)
        signals.worker_process_init.connect(self.begin_child, weak=False)
        signals.worker_process_shutdown.connect(self.end, weak=False)
        signals.worker_shutdown.connect(self.end, weak=False)
        signals.worker_shutting_down.connect(self.limit_stop, weak=False)

    def set_up_logging(self, **_: Any) -> None:
        configure_logging(self._settings)

    def begin(self, sender: Any, **_: Any) -> None:
        _quieten(sender)
        if sender.pool_cls is ThreadPool:  # no child process: this one does the work
            self._celery.deadlines = Deadlines()
            self._celery.deadlines.start()
            self._process.start()

    def begin_child(self, **_: Any) -> None:
        # A stopping child waits for its parent to have read every answer, which a stopping parent
        # may not do any more; ours say nothing that the database does not know.
        pool.GUARANTEE_MESSAGE_CONSUMPTION_RETRY_LIMIT = ANSWER_READ_TRIES
        self._process = self._load()
        self._celery.work = self._process.work
        self._process.start()

    def end(self, **_: Any) -> None:
        self._process.stop()

    def limit_stop(self, how: str, **_: Any) -> None:
        if how == "Warm":
            _stop_within(self._settings.task_stop_timeout)


def _quieten(worker: Any) -> None:
    # Workers that tell each other what they do cost each of them; only Flower listens, to those
    # that were started with -E.
    worker.options["without_gossip"] = worker.options["without_mingle"] = True
    worker.options["without_heartbeat"] = not worker.task_events


def _stop_within(seconds: float) -> None:
    """Give running tasks this long; the rest goes back to the broker."""

    def insist() -> None:
        log.warning("tasks_cut_off", patience=seconds)
        os.kill(os.getpid(), signal.SIGQUIT)

    timer = threading.Timer(seconds, insist)
    timer.daemon = True
    timer.start()
