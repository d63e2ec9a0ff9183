"""A small application of tasks, for processes that tests start, stop and kill.

    celery -A tests.support.task_app worker
    python -m tests.support.task_app          without a broker

Its tasks leave rows in the table `effect`, by which a test sees what has happened how often.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from contextlib import nullcontext
from datetime import timedelta

from sqlalchemy import Column, DateTime, Float, Integer, MetaData, String, Table, insert

from strongback.config import Settings, load_settings
from strongback.database import Base, Database, utc_now
from strongback.log.setup import configure_logging
from strongback.outbox import Outbox
from strongback.task import Jobs, Runner, TaskContext, TaskGroup, TaskRegistry
from strongback.task.dispatcher import Dispatcher
from strongback.task.lease import Leases
from strongback.task.runtime import TaskRuntime

group = TaskGroup("test")
metadata = MetaData()
effect = Table(
    "effect",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(50)),
    Column("number", Integer),
    Column("attempt", Integer),
    Column("pid", Integer),
    Column("request_id", String(128)),
    Column("latency", Float),
    Column("at", DateTime),
)
state: dict[str, Database] = {}
"""The database of this process; a task is given none."""


def leave(task: TaskContext, name: str, number: int, sent: float | None = None) -> None:
    """Write a row, in the task's transaction if it has one."""
    values = {
        "name": name,
        "number": number,
        "attempt": task.attempt,
        "pid": os.getpid(),
        "request_id": task.request_id,
        "latency": None if sent is None else time.time() - sent,
        "at": utc_now().replace(tzinfo=None),
    }
    state["database"].transact(lambda session: session.execute(insert(effect).values(values)))


@group.consumer("note", on="noted", time_limit=timedelta(seconds=1.5), max_attempts=50)
def note(task: TaskContext, *, number: int, seconds: float = 0, sent: float | None = None) -> None:
    """Leave a row, and take some time before it is committed."""
    leave(task, "note", number, sent)
    if seconds:  # a sleep of nothing gives the processor away, with the transaction open
        time.sleep(seconds)


@group.consumer(
    "begin", on="begun", transactional=False, time_limit=timedelta(seconds=1.5), max_attempts=50
)
def begin(task: TaskContext, *, number: int, seconds: float) -> None:
    """Leave a row at once, then take some time: shows when an attempt began."""
    leave(task, "begin", number)
    time.sleep(seconds)
    leave(task, "end", number)


@group.consumer(
    "spin", on="spun", transactional=False, time_limit=timedelta(seconds=0.5), max_attempts=2,
    backoff=timedelta(seconds=0.1),
)  # fmt: skip
def spin(task: TaskContext) -> None:
    """Never end by itself."""
    leave(task, "spin", 0)
    while True:
        time.sleep(0.01)


@group.consumer(
    "poison", on="poisoned", transactional=False, max_attempts=3, time_limit=timedelta(seconds=1)
)
def poison(task: TaskContext) -> None:
    """Kill the process."""
    leave(task, "poison", 0)
    os.kill(os.getpid(), signal.SIGKILL)


@group.consumer(
    "bundle",
    on="bundled",
    transactional=False,
    batch=3,
    queue="search",
    time_limit=timedelta(seconds=1),
)
def bundle(task: TaskContext, payloads: list[dict[str, int]]) -> None:
    """Leave a row for several messages."""
    leave(task, "bundle", len(payloads))


@group.consumer("chain", on="chained", time_limit=timedelta(seconds=1))
def chain(task: TaskContext, *, number: int, sent: float) -> None:
    """Emit what another task does."""
    leave(task, "chain", number, sent)
    Outbox.emit(outbox_of(state["database"]), "noted", {"number": number, "sent": sent})


@group.periodic("tick", every=timedelta(seconds=1), time_limit=timedelta(seconds=1))
def tick(task: TaskContext) -> None:
    """Leave a row each second."""
    leave(task, "tick", 0)


_outboxes: dict[int, Outbox] = {}


def outbox_of(database: Database) -> Outbox:
    """The outbox that the tasks of this process emit to."""
    return _outboxes[id(database)]


def build(settings: Settings) -> Dispatcher:
    """Build everything anew, as `create_app` does."""
    configure_logging(settings)
    database = Database(settings)
    outbox = Outbox(database)
    registry = TaskRegistry(outbox)
    registry.add(group)
    state["database"] = database
    _outboxes[id(database)] = outbox
    runner = Runner(registry, outbox, Jobs(database, outbox))
    runtime = TaskRuntime(settings, registry, runner, Leases(database), nullcontext)
    return Dispatcher(runtime, outbox)


def create_tables(database: Database) -> None:
    """Make what the tasks need."""
    Base.metadata.create_all(database.engine)
    metadata.create_all(database.engine)


def main() -> None:
    """Run tasks without a broker, until a SIGTERM."""
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    process = build(load_settings(Settings))
    process.start()
    stopped.wait()
    process.stop()


if __name__ == "__main__":
    main()
elif "celery" in sys.argv[0]:
    from strongback.task.celery_worker import build_worker

    celery = build_worker(lambda: build(load_settings(Settings)))
