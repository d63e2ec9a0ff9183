"""The pulse of long work: while its process lives, nobody else is given its messages.

An import may take ten minutes. Were its message given away only after those, it would stand still
for as long when its worker is killed at its start.
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
"""How long a message is left alone after a beat: three may fail."""


class Pulse:
    """Says again and again that messages are being worked on.

    For work outside of a transaction: one that has written its messages' end holds their rows.

    Args:
        outbox: Where the messages are.
        interval: Between two beats.
    """

    def __init__(self, outbox: Outbox, interval: timedelta = INTERVAL) -> None:
        self._outbox = outbox
        self._interval = interval.total_seconds()

    @contextmanager
    def beating(self, ids: Collection[int], end: datetime) -> Iterator[None]:
        """Keep messages during the block.

        Args:
            ids: The messages.
            end: When the block has taken so long that it counts as lost, though it may go on.
        """
        ended = threading.Event()
        beats = threading.Thread(
            target=self._beat, args=(ids, end, ended), name="task-pulse", daemon=True
        )
        beats.start()
        try:
            yield
        finally:
            ended.set()  # a beat that is late changes nothing: it looks at the state

    def _beat(self, ids: Collection[int], end: datetime, ended: threading.Event) -> None:
        while not ended.wait(self._interval) and utc_now() < end:
            try:
                self._outbox.keep(ids, min(utc_now() + PATIENCE, end))
            except SQLAlchemyError as error:
                log.warning("task_pulse_missed", error=type(error).__name__)
