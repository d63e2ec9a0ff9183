"""Processes that run the tasks of `task_app`, and what their tasks have done."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from sqlalchemy import Row, delete, func, select

from strongback.config import Environment, Settings
from strongback.database import Database
from strongback.outbox import Outbox, OutboxMessage
from strongback.task.dispatcher import Dispatcher
from tests.support import task_app
from tests.support.process import start_module

DEADLINE = 60


def wait_until(condition: Callable[[], bool], what: str, seconds: float = DEADLINE) -> float:
    """Wait for something to happen; returns the seconds that it took."""
    start = time.monotonic()
    while not condition():
        waited = time.monotonic() - start
        assert waited < seconds, f"{what} did not happen within {seconds} s"
        time.sleep(0.05)
    return time.monotonic() - start


@dataclass
class Worker:
    """A process that runs tasks, in a group of its own."""

    process: BaseProcess
    log: Path

    def kill(self) -> None:
        """End it at once."""
        self.process.kill()
        self.process.join()

    def stop(self) -> int:
        """Ask it to end by a SIGTERM; returns its status."""
        self.process.terminate()
        return self.wait()

    def wait(self) -> int:
        """Wait for its end; returns its status."""
        self.process.join(DEADLINE)
        assert self.process.exitcode is not None, f"it still runs: {self.text}"
        return self.process.exitcode

    @property
    def text(self) -> str:
        return self.log.read_text()


@dataclass
class WorkerHarness:
    """A database, perhaps a broker, and processes that run tasks."""

    settings: Settings
    folder: Path
    dispatcher: Dispatcher = field(init=False)
    served_by: Worker | None = None
    """The worker that a fixture has started."""
    started: int = 0

    def __post_init__(self) -> None:
        self.dispatcher = task_app.build(self.settings)
        self.database: Database = task_app.state["database"]
        self.outbox: Outbox = task_app.outbox_of(self.database)
        task_app.create_tables(self.database)
        self.forget()

    def forget(self) -> None:
        """Empty the tables of messages and effects."""
        with self.database.engine.begin() as connection:
            connection.execute(task_app.effect.delete())
            connection.execute(delete(OutboxMessage))

    def emit(self, topic: str, **payload: Any) -> None:
        """Write a message, in a transaction of its own."""
        self.database.transact(lambda _: self.outbox.emit(topic, payload))

    def finish(self) -> None:
        """Wait until nothing is left to do."""
        wait_until(lambda: self.pending() == 0, "the end of the tasks")

    def wait_until_given_up(self) -> None:
        """Wait until one dead message is left and nothing else."""
        wait_until(lambda: [row.state for row in self.messages()] == ["dead"], "giving up")

    def effects(self, *names: str) -> list[Row[Any]]:
        """What the tasks have left, in order."""
        query = select(task_app.effect).order_by(task_app.effect.c.id)
        if names:
            query = query.where(task_app.effect.c.name.in_(names))
        with self.database.engine.connect() as connection:
            return list(connection.execute(query))

    def numbers(self, *names: str) -> list[int]:
        """The numbers that the tasks have left, sorted."""
        return sorted(row.number for row in self.effects(*names))

    def messages(self) -> list[Row[Any]]:
        """The state, attempts and error of every message that is left."""
        columns = (OutboxMessage.state, OutboxMessage.attempts, OutboxMessage.error)
        with self.database.engine.connect() as connection:
            return list(connection.execute(select(*columns)))

    def pending(self) -> int:
        """How many messages are left."""
        with self.database.engine.connect() as connection:
            return connection.scalar(select(func.count()).select_from(OutboxMessage)) or 0

    def start(self) -> None:
        """Send what is emitted from this process to the workers.

        Without a broker nothing is sent: workers find what is due themselves.
        """
        if self.settings.celery_broker_url:
            self.dispatcher.start()

    def run(self, *arguments: str, **variables: str) -> Worker:
        """Start `python -m …`."""
        self.started += 1
        log = self.folder / f"worker-{self.started}.log"
        environment = os.environ | self.environment() | variables
        return Worker(start_module(arguments, environment, log), log)

    @contextmanager
    def running(self, *arguments: str, **variables: str) -> Iterator[Worker]:
        """Start `celery …`, or another module, and kill it if it still runs at the end."""
        worker = self.run(*arguments, **variables)
        try:
            yield worker
        finally:
            if worker.process.is_alive():
                worker.kill()

    @contextmanager
    def worker(self, *options: str, concurrency: int = 1, **variables: str) -> Iterator[Worker]:
        """Start a worker, of Celery where there is a broker, and wait until it takes tasks."""
        count = str(concurrency)
        celery = ("celery", "-A", "tests.support.task_app", "worker", "-c", count, *options)
        if self.settings.celery_broker_url:
            arguments, sign = celery, " ready."
        else:
            arguments, sign = ("tests.support.task_app",), "tasks_embedded"
            variables |= {"TASK_THREADS": count}
        with self.running(*arguments, **variables) as worker:
            wait_until(lambda: sign in worker.text, f"the worker's start: {worker.text}")
            yield worker

    @contextmanager
    def beat(self) -> Iterator[Worker]:
        """Start `celery … beat`."""
        with self.running("celery", "-A", "tests.support.task_app", "beat") as beat:
            yield beat

    def close(self) -> None:
        """Stop sending, and close the connections."""
        self.dispatcher.stop()
        self.database.close()

    def environment(self) -> dict[str, str]:
        """The variables of the processes."""
        return {
            "APP_ENV": Environment.TEST.value,
            "APP_VAR_DIR": str(self.settings.app_var_dir),
            "DATABASE_URL": self.settings.database_address.render_as_string(hide_password=False),
            "CELERY_BROKER_URL": self.settings.celery_broker_url or "",
            "TASK_VISIBILITY_TIMEOUT": str(self.settings.task_visibility_timeout or ""),
            "TASK_STOP_TIMEOUT": str(self.settings.task_stop_timeout),
            "LOG_FORMAT": "json",
        }
