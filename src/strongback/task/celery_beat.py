"""`celery … beat`: a process that sends periodic tasks while it holds the lease."""

from __future__ import annotations

import signal
from typing import Any

from celery import Celery
from celery.beat import Scheduler, Service

from strongback.task.celery_app import TaskCelery
from strongback.task.celery_publisher import CeleryPublisher
from strongback.task.periodic import PeriodicScheduler


def stop_between_ticks(sender: Service, **_: Any) -> None:
    """End the beat after the current tick, a second later at most.

    Celery's own handler closes the scheduler at once. In the middle of a transaction the lease
    could not be given up, and no beat acted until it ran out.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sender.stop())


class LeasedScheduler(Scheduler):
    """`PeriodicScheduler`, as Celery's beat calls it."""

    app: TaskCelery  # pyright: ignore[reportIncompatibleVariableOverride]  it never changes

    def __init__(self, app: Celery, *args: Any, **options: Any) -> None:
        super().__init__(app, *args, **options)
        self._publisher = CeleryPublisher(self.app)
        self._scheduler = PeriodicScheduler(self.app.runtime, self._publisher.publish_periodic)

    def tick(self, *_args: Any, **_options: Any) -> float:
        """Send what is due; returns the seconds to wait before the next call."""
        return self._scheduler.tick()

    def close(self) -> None:
        """Let another process act at once."""
        self._publisher.close()
        self._scheduler.close()
