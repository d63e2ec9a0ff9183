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


class Heartbeat:
    """Reserves messages for work that runs outside of a transaction.

    Work inside of a transaction needs none: it holds the rows of its messages.
    """

    def __init__(self, outbox: Outbox, interval: timedelta = INTERVAL) -> None:
        self._outbox = outbox
        self._interval = interval.total_seconds()

    @contextmanager
    def during(self, ids: Collection[int], end: datetime) -> Iterator[None]:
        """Reserve messages during the block, which counts as lost from `end` on."""
        ended = threading.Event()
        beats = threading.Thread(
            target=self._beat, args=(ids, end, ended), name="task-heartbeat", daemon=True
        )
        beats.start()
        try:
            yield
        finally:
            ended.set()  # a late heartbeat changes nothing: the state of the message is checked

    def _beat(self, ids: Collection[int], end: datetime, ended: threading.Event) -> None:
        while not ended.wait(self._interval) and utc_now() < end:
            try:
                self._outbox.keep(ids, min(utc_now() + PATIENCE, end))
            except SQLAlchemyError as error:
                log.warning("task_heartbeat_missed", error=type(error).__name__)
