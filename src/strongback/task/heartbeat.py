"""The heartbeat of long work: while its process lives, no other one gets its messages.

An import may take ten minutes. Without heartbeats its message would wait for as long when its
worker is killed at the beginning.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from sqlalchemy.exc import SQLAlchemyError

from strongback.database import utc_now
from strongback.log.setup import get_logger
from strongback.outbox import Outbox

log = get_logger(__name__)

INTERVAL = timedelta(seconds=8)
PATIENCE = timedelta(seconds=30)
"""Time after the last heartbeat at which work counts as lost: three may fail."""


@contextmanager
def heartbeat(
    outbox: Outbox, ids: Collection[int], end: datetime, interval: timedelta = INTERVAL
) -> Iterator[None]:
    """Reserve messages during the block, which counts as lost from `end` on.

    For work outside of a transaction; inside of one it holds the rows of its messages.
    """
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(interval.total_seconds()) and utc_now() < end:
            try:
                outbox.keep(ids, min(utc_now() + PATIENCE, end))
            except SQLAlchemyError as error:
                log.warning("task_heartbeat_missed", error=type(error).__name__)

    threading.Thread(target=beat, name="task-heartbeat", daemon=True).start()
    try:
        yield
    finally:
        ended.set()  # a late heartbeat changes nothing: the state of the message is checked
