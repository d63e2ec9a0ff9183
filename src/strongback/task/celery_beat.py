"""Beat: sends each periodic task when it is due, from one process however many there are.

Whoever holds the lease `beat` acts; the others wait for it to run out. When a task is due next is
kept in the database as well, as a lease that nobody renews, so that a daily task runs daily however
often the processes are started anew, and not twice where two of them believe to be the one.
"""

from __future__ import annotations

import signal
import time
import uuid
from typing import Any

from celery import Celery
from celery.beat import Scheduler, Service
from sqlalchemy.exc import SQLAlchemyError

from strongback.log.setup import get_logger
from strongback.outbox import PublishFailed
from strongback.task.alive import touch
from strongback.task.celery_app import TaskCelery
from strongback.task.celery_publisher import CeleryPublisher
from strongback.task.lease import Leases

log = get_logger(__name__)

LEASE = "beat"
LEASE_SECONDS = 6.0
"""A killed beat is replaced after this and one `RENEW_INTERVAL`."""
RENEW_INTERVAL = 2.0
"""Seconds between renewals, and between the others' attempts."""
TICK = 1.0
"""The longest pause between two looks at the clock."""
RETRY_INTERVAL = 5.0
"""Seconds until a task is sent again that the broker did not take."""


def stop_between_ticks(sender: Service, **_: Any) -> None:
    """Have a stop end the beat after its tick, a second later at most.

    Celery's own handler closes the scheduler wherever the signal has met it. In the middle of a
    transaction the lease could not be given up, and nobody acted until it ran out.

    Args:
        sender: Which Celery is about to start.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sender.stop())


class LeasedScheduler(Scheduler):
    """A scheduler that acts only while it holds the lease.

    Celery makes it, in a process of its own or in the web server's.
    """

    app: TaskCelery  # pyright: ignore[reportIncompatibleVariableOverride]  it never changes

    def __init__(self, app: Celery, *args: Any, **options: Any) -> None:
        super().__init__(app, *args, **options)
        self._holder = uuid.uuid4().hex
        self._leads = False
        self._failed = False
        self._renewed = float("-inf")
        self._due: dict[str, float] = {}
        self._publisher = CeleryPublisher(self.app)
        self._periods = {
            each.name: each.every.total_seconds()
            for each in self.app.registry
            if each.every is not None
        }

    def tick(self, *_args: Any, **_options: Any) -> float:
        """Send what is due.

        Returns:
            Seconds until it is to be called again.
        """
        try:
            if not self._hold():
                self._show_life()
                return TICK
            waits = [self._visit(task, every) for task, every in self._periods.items()]
        except SQLAlchemyError as error:
            self._note_failure(error)
            return TICK
        self._failed = False
        self._show_life()
        return max(0.0, min([TICK, *waits]))

    def close(self) -> None:
        """Let another process act at once."""
        self._publisher.close()
        if self._leads:
            self._leads = False
            try:
                self._leases.give_up(LEASE, self._holder)
            except SQLAlchemyError as error:  # it runs out by itself
                self._note_failure(error)
            log.info("beat_stopped")

    def _show_life(self) -> None:
        if (work := self.app.work) is not None:
            touch(work.settings)

    @property
    def _leases(self) -> Leases:
        work = self.app.work
        assert work is not None, "not prepared for tasks"  # noqa: S101  for the type checker
        return work.leases

    def _hold(self) -> bool:
        now = time.monotonic()
        if now - self._renewed < RENEW_INTERVAL:
            return self._leads
        led, self._renewed = self._leads, now
        self._leads = False  # should the database fail now
        self._leads = self._leases.take(LEASE, self._holder, LEASE_SECONDS)
        if self._leads and not led:
            self._due.clear()  # another process may have sent some meanwhile
            log.info("beat_started")
        return self._leads

    def _visit(self, task: str, every: float) -> float:
        """Send the task if it is due; returns the seconds until it may be due next."""
        now = time.monotonic()
        if task not in self._due:
            self._due[task] = now + self._leases.remaining(f"{LEASE}:{task}", every)
        if self._due[task] <= now:
            self._due[task] = now + self._send(task, every)
        return self._due[task] - now

    def _send(self, task: str, every: float) -> float:
        lease, turn = f"{LEASE}:{task}", uuid.uuid4().hex  # a holder that never renews
        if not self._leases.take(lease, turn, every):
            return self._leases.remaining(lease, every)
        try:
            self._publisher.publish_periodic(task, expires=every)
        except PublishFailed as error:
            log.warning("periodic_task_not_sent", task=task, error=str(error))
            self._leases.give_up(lease, turn)
            return min(RETRY_INTERVAL, every)
        return every

    def _note_failure(self, error: SQLAlchemyError) -> None:
        if not self._failed:  # once, and not each second
            self._failed = True
            log.warning("beat_database_unavailable", error=str(error))
