"""The embedded mode: tasks run in threads of the web server's process.

Queues are in the process's memory. A message that waits there when the process dies is still in the
outbox, which sends it again.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.exc import SQLAlchemyError

from strongback.log.setup import get_logger
from strongback.outbox import Batch, Outbox
from strongback.task.deadline import Deadlines
from strongback.task.periodic import PeriodicScheduler
from strongback.task.runtime import TaskRuntime

log = get_logger(__name__)

OUTSIDE = frozenset({"email", "sms"})
"""Queues whose tasks wait for servers of others."""


@dataclass(frozen=True, slots=True)
class _Call:
    task: str
    ids: Sequence[int] | None = None
    """Messages; None for a periodic task."""
    request_id: str | None = None
    expires: float = float("inf")


class _Queues:
    """Queues that are served in turn: a long one holds up no other.

    Args:
        threads: Threads that take from them. The tasks that wait for servers outside leave one of
            them to the others: a server that hangs holds up its own tasks alone.
    """

    def __init__(self, threads: int) -> None:
        self._room = max(1, threads - 1)
        self._waiting: dict[str, deque[_Call]] = {}
        self._changed = threading.Condition()
        self._is_closed = False

    def put(self, queue: str, call: _Call) -> None:
        with self._changed:
            self._waiting.setdefault(queue, deque()).append(call)
            self._changed.notify()

    def get(self) -> tuple[str, _Call] | None:
        """Wait for the next call and its queue, and call `done` after it; None once closed."""
        with self._changed:
            while not self._is_closed:
                for name in self._waiting:
                    if self._room or name not in OUTSIDE:
                        return name, self._take(name)
                self._changed.wait()
            return None

    def _take(self, name: str) -> _Call:
        self._room -= name in OUTSIDE
        calls = self._waiting.pop(name)
        call = calls.popleft()
        if calls:
            self._waiting[name] = calls  # behind the others
        return call

    def done(self, queue: str) -> None:
        with self._changed:
            self._room += queue in OUTSIDE
            self._changed.notify()

    def close(self) -> list[_Call]:
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
            return [call for calls in self._waiting.values() for call in calls]


class EmbeddedWorker:
    """Runs the messages that it is given as their publisher, and periodic tasks."""

    def __init__(self, runtime: TaskRuntime, outbox: Outbox) -> None:
        self._runtime = runtime
        self._outbox = outbox
        self._deadlines = Deadlines()
        self._queues = _Queues(runtime.settings.task_threads)
        self._stopping = threading.Event()
        # Daemons: a task that never ends must not keep the process from ending.
        self._threads = [
            threading.Thread(target=self._run, name=f"task-{number}", daemon=True)
            for number in range(runtime.settings.task_threads)
        ]
        self._threads.append(threading.Thread(target=self._tick, name="task-beat", daemon=True))

    def publish(self, batches: Sequence[Batch]) -> None:
        """Queue messages for the threads."""
        for each in batches:
            self._put(_Call(each.consumer, each.ids, each.request_id))

    def start(self) -> None:
        """Begin to run tasks."""
        self._deadlines.start()
        for thread in self._threads:
            thread.start()
        log.info("tasks_embedded")

    def stop(self) -> None:
        """Finish the running tasks; one that takes too long is left to the end of the process."""
        self._stopping.set()
        if ids := [each for call in self._queues.close() for each in call.ids or ()]:
            try:
                self._outbox.release(ids)
            except SQLAlchemyError as error:  # sent again in half a minute
                log.warning("tasks_not_given_back", error=type(error).__name__)
        patience = self._runtime.settings.task_stop_timeout
        end = time.monotonic() + patience
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))
        self._deadlines.stop()
        if any(thread.is_alive() for thread in self._threads):
            log.warning("tasks_left_running", patience=patience)

    def _put(self, call: _Call) -> None:
        task = self._runtime.registry.get(call.task)
        self._queues.put(task.queue if task else "", call)

    def _run(self) -> None:
        while (taken := self._queues.get()) is not None:
            queue, call = taken
            try:
                if time.monotonic() < call.expires:
                    with self._deadlines.within(call.task, self._runtime.time_limit(call.task)):
                        self._runtime.run(call.task, call.ids, call.request_id)
            except Exception:  # the outbox sends it again, and the thread goes on
                log.exception("task_crashed", task=call.task)
            self._queues.done(queue)

    def _tick(self) -> None:
        def send(task: str, seconds: float) -> None:
            self._put(_Call(task, expires=time.monotonic() + seconds))

        scheduler = PeriodicScheduler(self._runtime, send)
        while not self._stopping.wait(scheduler.tick()):
            pass
        scheduler.close()
