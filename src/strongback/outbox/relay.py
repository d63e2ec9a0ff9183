"""The relay: a thread that sends committed messages to the broker.

A commit wakes this thread and does not wait for it, or for the broker. When a process dies, the
relay of another one finds its messages within a second.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import Protocol

from sqlalchemy.exc import SQLAlchemyError

from strongback.exceptions import StrongbackError
from strongback.log.setup import get_logger
from strongback.outbox.service import Claimed, Outbox

log = get_logger(__name__)

POLL = 0.5
"""Seconds between two looks without being woken, for retries and for messages of dead processes."""
CLAIM = 200
"""Messages claimed and sent at once."""
CLOCK_INTERVAL = 10.0
"""Seconds between two looks for messages that are late because the clock was set back."""
PROBE = 0.5
"""Most seconds between two attempts while the broker or the database does not answer."""


class PublishFailed(StrongbackError):
    """The broker did not accept messages; they stay in the outbox."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Messages that a consumer gets at once."""

    consumer: str
    ids: Sequence[int]
    request_id: str | None
    """Request that caused the first of them."""


class Publisher(Protocol):
    """Sends messages to a broker."""

    def publish(self, batches: Sequence[Batch]) -> None:
        """Send messages to the broker; gives up within about a second.

        Raises:
            PublishFailed: The broker did not accept all of them, but perhaps some.
        """
        ...


class Relay:
    """Sends due messages, from `start` to `stop`."""

    def __init__(self, outbox: Outbox, publisher: Publisher) -> None:
        self._outbox = outbox
        self._publisher = publisher
        self._woken = threading.Event()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="outbox-relay", daemon=True)
        self._failures = 0
        self._clock_checked = float("-inf")

    def start(self) -> None:
        """Begin to send; call it after a fork, not before."""
        self._outbox.on_commit(self.wake)
        self._thread.start()

    def wake(self) -> None:
        """Look for due messages now."""
        self._woken.set()

    def stop(self) -> None:
        """Finish the current batch; the rest stays in the outbox."""
        self._stopped.set()
        self._woken.set()
        self._thread.join()

    def deliver(self) -> int:
        """Send the messages that are due now; returns how many. On PublishFailed they stay due."""
        with self._outbox.database.scope():
            # One message tells as well as many whether the broker is back.
            claimed = self._outbox.claim(1 if self._failures else CLAIM)
            try:
                if claimed:
                    self._publisher.publish(list(self._batches(claimed)))
            except PublishFailed:
                self._outbox.release([each.id for each in claimed])
                raise
        return len(claimed)

    def _batches(self, claimed: list[Claimed]) -> Iterator[Batch]:
        # Sorting is stable: the messages of a consumer keep their order. A message that has
        # failed goes alone, so that it does not make a batch of good ones fail again.
        kind = attrgetter("consumer", "is_first_attempt")
        for (consumer, is_first), group in groupby(sorted(claimed, key=kind), key=kind):
            messages, size = list(group), self._outbox.batch_size(consumer) if is_first else 1
            for at in range(0, len(messages), size):
                ids = [each.id for each in messages[at : at + size]]
                yield Batch(consumer, ids, messages[at].request_id)

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._woken.clear()
            self._stopped.wait(self._attempt())

    def _attempt(self) -> float:
        """Send due messages; returns the seconds to wait."""
        try:
            self._check_clock()
            while self.deliver() and not self._stopped.is_set():
                self._note_success()
        except PublishFailed as error:
            return self._note_failure("outbox_broker_unavailable", error)
        except SQLAlchemyError as error:
            return self._note_failure("outbox_database_unavailable", error.__cause__ or error)
        except Exception as error:  # noqa: BLE001  without this thread nothing is sent
            return self._note_failure("outbox_relay_failed", error, trace=error)
        self._note_success()
        self._woken.wait(POLL)
        return 0.0

    def _check_clock(self) -> None:
        if time.monotonic() - self._clock_checked < CLOCK_INTERVAL:
            return
        self._clock_checked = time.monotonic()
        if count := self._outbox.rebase():
            log.warning("outbox_clock_was_set_back", messages=count)

    def _note_failure(
        self, event: str, error: BaseException, trace: Exception | None = None
    ) -> float:
        """Log the first failure of a series; returns the seconds to wait."""
        self._failures += 1
        if self._failures == 1:
            log.warning(event, error=str(error), exc_info=trace)
        # Never longer: everything waits for the broker, and an attempt costs one connection.
        return random.uniform(PROBE / 2, PROBE)  # noqa: S311  not a secret

    def _note_success(self) -> None:
        if self._failures:
            log.warning("outbox_recovered", failures=self._failures)
        self._failures = 0
