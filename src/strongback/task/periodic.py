"""Periodic tasks: each is sent when it is due, by one process however many there are.

The process that holds the lease `beat` acts; the others wait for it to run out. When a task is due
next is kept in the database as well, as a lease that nobody renews. So a daily task runs daily
however often the processes restart, and not twice where two of them believe that they lead.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable

from sqlalchemy.exc import SQLAlchemyError

from strongback.log.setup import get_logger
from strongback.outbox import PublishFailed
from strongback.task.liveness import LivenessFile
from strongback.task.runtime import TaskRuntime

log = get_logger(__name__)

LEASE = "beat"
LEASE_SECONDS = 6.0
"""A process that is killed is replaced after this and one `RENEW_INTERVAL`."""
RENEW_INTERVAL = 2.0
"""Seconds between renewals, and between the others' attempts."""
TICK = 1.0
"""The longest pause between two looks at the clock."""
RETRY_INTERVAL = 5.0
"""Seconds until a task is sent again that the broker did not take."""


class PeriodicScheduler:
    """Sends periodic tasks while it holds the lease.

    Args:
        send: Called with the name of a task that is due, and the seconds after which it is too late
            to begin it. Raises `PublishFailed`.
    """

    def __init__(self, runtime: TaskRuntime, send: Callable[[str, float], object]) -> None:
        self._leases = runtime.leases
        self._liveness = LivenessFile(runtime.settings.task_liveness_file)
        self._send = send
        self._holder = uuid.uuid4().hex
        self._leads = False
        self._failed = False
        self._renewed = float("-inf")
        self._due: dict[str, float] = {}
        self._periods = {
            each.name: each.every.total_seconds()
            for each in runtime.registry
            if each.every is not None
        }

    def tick(self) -> float:
        """Send what is due; returns the seconds to wait before the next call."""
        try:
            if not self._hold():
                self._liveness.touch()
                return TICK
            waits = [self._visit(task, every) for task, every in self._periods.items()]
        except SQLAlchemyError as error:
            self._note_failure(error)
            return TICK
        self._failed = False
        self._liveness.touch()
        return max(0.0, min([TICK, *waits]))

    def close(self) -> None:
        """Let another process act at once."""
        if self._leads:
            self._leads = False
            try:
                self._leases.give_up(LEASE, self._holder)
            except SQLAlchemyError as error:  # it runs out by itself
                self._note_failure(error)
            log.info("beat_stopped")

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
            self._due[task] = now + self._take_turn(task, every)
        return self._due[task] - now

    def _take_turn(self, task: str, every: float) -> float:
        lease, turn = f"{LEASE}:{task}", uuid.uuid4().hex  # a holder that never renews
        if not self._leases.take(lease, turn, every):
            return self._leases.remaining(lease, every)
        try:
            self._send(task, every)
        except PublishFailed as error:
            log.warning("periodic_task_not_sent", task=task, error=str(error))
            self._leases.give_up(lease, turn)
            return min(RETRY_INTERVAL, every)
        return every

    def _note_failure(self, error: SQLAlchemyError) -> None:
        if not self._failed:  # once, and not each second
            self._failed = True
            log.warning("beat_database_unavailable", error=str(error))
