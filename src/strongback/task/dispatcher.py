"""The dispatcher: sends tasks from a process and, where no broker is named, runs them in it."""

from __future__ import annotations

import threading

from strongback.extra import require_extra
from strongback.log.setup import get_logger
from strongback.outbox import Outbox, Relay
from strongback.task.embedded import EmbeddedWorker
from strongback.task.runtime import TaskRuntime, visibility_timeout

log = get_logger(__name__)


class Dispatcher:
    """Sends tasks from this process and, where no broker is named, runs them in it.

    Raises:
        ConfigurationError: A broker is named, and the extra `celery` is not installed.
    """

    def __init__(self, runtime: TaskRuntime, outbox: Outbox) -> None:
        if runtime.settings.broker_address is not None:
            require_extra("celery", "A broker of tasks (CELERY_BROKER_URL, REDIS_URL)")
        self.runtime = runtime
        self._outbox = outbox
        self._relay: Relay | None = None
        self._worker: EmbeddedWorker | None = None
        self._starting: threading.Thread | None = None

    def start(self) -> None:
        """Begin to send and to run tasks; call it after a fork, not before.

        Raises:
            ConfigurationError: A task may take longer than the broker waits for it.
        """
        visibility_timeout(self.runtime.settings, self.runtime.registry)
        if self.runtime.settings.broker_address is None:
            self._worker = EmbeddedWorker(self.runtime, self._outbox)
            self._worker.start()
            self._relay = Relay(self._outbox, self._worker)
            self._relay.start()
            return
        # Celery takes a while to import, and the first request need not wait for it.
        self._starting = threading.Thread(target=self._connect, name="task-start", daemon=True)
        self._starting.start()

    def _connect(self) -> None:
        from strongback.task.celery_app import build_celery  # noqa: PLC0415  see above
        from strongback.task.celery_publisher import CeleryPublisher  # noqa: PLC0415  the same

        publisher = CeleryPublisher(build_celery(self.runtime), self._note_broker)
        self._relay = Relay(self._outbox, publisher)
        self._relay.start()

    def _note_broker(self, run: str) -> None:
        """Send again what a broker has lost at its restart, once and from one process."""
        if self.runtime.leases.hand_over("broker", run):
            log.warning("broker_restarted", messages=self._outbox.recover())

    def stop(self) -> None:
        """Stop sending, and finish running tasks within `TASK_STOP_TIMEOUT`."""
        if self._starting is not None:
            self._starting.join()
        if self._relay is not None:
            self._relay.stop()
        if self._worker is not None:
            self._worker.stop()
