"""The processes of `celery … worker`: their start and their end.

Tasks run in child processes. Each child builds its own application after the fork, since threads
and connections do not survive one, and sends what its tasks write to the outbox: one task follows
another at once.
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
from celery.worker.consumer import Consumer
from kombu import Consumer as MessageConsumer
from kombu.connection import maybe_channel

from strongback.log.setup import configure_logging, get_logger
from strongback.task.celery_app import TaskCelery, build_celery
from strongback.task.celery_beat import stop_between_ticks
from strongback.task.deadline import Deadlines
from strongback.task.dispatcher import Dispatcher
from strongback.task.liveness import INTERVAL, LivenessFile

log = get_logger(__name__)

RESULT_READ_ATTEMPTS = 10
"""Tenths of a second; billiard itself waits for half a minute."""


def build_worker(load: Callable[[], Dispatcher]) -> TaskCelery:
    """Return Celery for its command: `worker`, `beat`, `inspect` and so on.

    Args:
        load: Builds the application and returns its dispatcher; called once in each process.
    """
    dispatcher = load()
    settings = dispatcher.runtime.settings
    celery = build_celery(dispatcher.runtime)
    # Warned of at each lost connection, with any setting.
    warnings.filterwarnings("ignore", r"\s*In Celery 5\.1", CPendingDeprecationWarning)
    celery.conf.worker_consumer = LastingConsumer
    celery.steps["worker"].add(LivenessStep)
    signals.beat_init.connect(stop_between_ticks, weak=False)

    @signals.setup_logging.connect(weak=False)
    def set_up_logging(**_: Any) -> None:
        configure_logging(settings)

    @signals.worker_init.connect(weak=False)
    def begin(sender: Any, **_: Any) -> None:
        # Workers that tell each other what they do cost each of them; only Flower listens, to those
        # that were started with -E.
        sender.options["without_gossip"] = sender.options["without_mingle"] = True
        sender.options["without_heartbeat"] = not sender.task_events
        if sender.pool_cls is ThreadPool:  # no child process: this one does the work
            celery.deadlines = Deadlines()
            celery.deadlines.start()
            dispatcher.start()

    @signals.worker_process_init.connect(weak=False)
    def begin_child(**_: Any) -> None:
        nonlocal dispatcher
        # A stopping child waits until its parent has read every result, which a stopping parent may
        # not do any more; the database has all that a result of ours says.
        pool.GUARANTEE_MESSAGE_CONSUMPTION_RETRY_LIMIT = RESULT_READ_ATTEMPTS
        dispatcher = load()
        celery.runtime = dispatcher.runtime
        dispatcher.start()

    @signals.worker_process_shutdown.connect(weak=False)
    @signals.worker_shutdown.connect(weak=False)
    def end(**_: Any) -> None:
        dispatcher.stop()

    @signals.worker_shutting_down.connect(weak=False)
    def limit_stop(how: str, **_: Any) -> None:
        if how == "Warm":
            _stop_within(settings.task_stop_timeout)

    return celery


class LastingConsumer(Consumer):
    """Consumes messages, and outlasts a broker that is lost while a task runs."""

    task_consumer: MessageConsumer | None
    """Celery's: what takes the messages from the channel, once there is one."""

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        """Let go of a lost connection.

        kombu 5.7 gives up closing a channel where it fails to read what it waits for. Then neither
        the connection can be closed nor a task be acknowledged, which ends the worker. Closed once
        more, the channel waits for nothing.
        """
        if self.connection and self.task_consumer:
            channel = maybe_channel(self.task_consumer.channel)
            for _ in range(2):
                self.connection.maybe_close_channel(channel)
        super().on_connection_error_after_connected(exc)


class LivenessStep(bootsteps.StartStopStep):
    """Touches the file from the event loop of a worker, which stands still without the broker."""

    requires = ("celery.worker.components:Timer",)

    def start(self, parent: WorkController) -> None:
        """Begin; the loop ends with the worker."""
        app: TaskCelery = parent.app
        timer: Any = parent.timer  # the stubs take it for threading's
        file = LivenessFile(app.runtime.settings.task_liveness_file)
        timer.call_repeatedly(INTERVAL, file.touch)


def _stop_within(seconds: float) -> None:
    """Cut running tasks off after this time; their messages go back to the broker."""

    def insist() -> None:
        log.warning("tasks_cut_off", patience=seconds)
        os.kill(os.getpid(), signal.SIGQUIT)

    timer = threading.Timer(seconds, insist)
    timer.daemon = True
    timer.start()
