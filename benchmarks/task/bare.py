"""Bare Celery with the same guarantees and one task that does nothing.

celery -A benchmarks.task.bare worker
"""

from __future__ import annotations

import os

from celery import Celery
from kombu import Queue

celery = Celery("bare", broker=os.environ.get("BENCH_BROKER"))
celery.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_ignore_result=True,
    worker_prefetch_multiplier=1,
    broker_connection_retry_on_startup=True,
    task_default_queue="bare-info",
    task_queues=[Queue("bare-info"), Queue("bare-silent")],
)


@celery.task(name="bench:nothing")
def nothing() -> None:
    """Do nothing."""
