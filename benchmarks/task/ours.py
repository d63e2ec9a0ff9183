"""The whole application with two more tasks: one that does nothing, one that says when it began.

celery -A benchmarks.task.ours worker
"""

from __future__ import annotations

import os
import sys
import time
from datetime import timedelta
from pathlib import Path

from app.core.config import load_settings
from app.main import create_app
from strongback.app import Strongback
from strongback.task import TaskContext, TaskGroup, TaskRegistry
from strongback.task.dispatcher import Dispatcher

group = TaskGroup("bench")


@group.periodic("nothing", every=timedelta(days=1), queue="default")
def nothing(_task: TaskContext) -> None:
    """Do nothing."""


@group.consumer("stamp", on="bench:stamp")
def stamp(_task: TaskContext, *, number: int) -> None:
    """Write down the moment."""
    with Path(os.environ["BENCH_STAMPS"]).open("a") as file:
        file.write(f"{number} {time.time()}\n")


def create() -> Strongback:
    app = create_app(load_settings())
    app.services[TaskRegistry].add(group)
    return app


if "celery" in sys.argv[0]:
    from strongback.task.celery_worker import build_worker

    celery = build_worker(lambda: create().services[Dispatcher])
