"""A transaction's fate: when it is committed, undone, or run again."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

import structlog
from sqlalchemy.exc import DBAPIError

from strongback.database.database_error import DatabaseMisuse, is_retryable

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.orm import Session

log = structlog.get_logger(__name__)

ATTEMPTS = 5
"""How often a transaction is tried in all."""
FIRST_WAIT = 0.02
"""Seconds that half of the first pause lasts at most; each further one doubles."""

R = TypeVar("R")


@dataclass(slots=True)
class Transaction:
    """What is known of a running transaction besides its session."""

    callbacks: list[Callable[[], object]] = field(default_factory=list)
    failure: BaseException | None = None
    """Why it must not be committed, although the error may have been swallowed meanwhile."""

    def run(self, session: Session, function: Callable[[Session], R]) -> R:
        """Run the function and commit, or undo everything."""
        try:
            result = function(session)
            session.flush()
            self._refuse_half()
            session.commit()
        except Exception:
            roll_back(session)
            if self.failure is None or not is_retryable(self.failure):
                raise
            # Whatever the code made of a deadlock, it was a deadlock.
            raise self.failure  # noqa: B904  its cause is the driver's error and stays so
        except BaseException:
            roll_back(session)
            raise
        return result

    def call_back(self) -> None:
        """Run what waited for the commit; an error in it is logged and reaches nobody."""
        for callback in self.callbacks:
            try:
                callback()
            except Exception:
                name = getattr(callback, "__qualname__", repr(callback))
                log.exception("after_commit_failed", callback=name)

    def forgive(self) -> None:
        """Forget a failure that a savepoint has undone; a deadlock has undone more than that."""
        if self.failure is not None and not is_retryable(self.failure):
            self.failure = None

    def _refuse_half(self) -> None:
        if self.failure is not None:
            msg = "a call inside failed and its error was caught: wrap it in database.savepoint()"
            raise DatabaseMisuse(msg) from self.failure


def retry(attempt: Callable[[], R], seconds: float, note: Callable[[], None]) -> R:
    """Run the attempt until it succeeds, fails for good, or has had its tries or its time.

    Args:
        attempt: A whole transaction.
        seconds: After this long no further attempt begins.
        note: Called before each further attempt, to count it.
    """
    deadline = time.monotonic() + seconds
    for number in range(1, ATTEMPTS):
        try:
            return attempt()
        except Exception as error:
            if not is_retryable(error) or time.monotonic() >= deadline:
                raise
            note()
            _pause(number, error)
    return attempt()


def _pause(number: int, error: Exception) -> None:
    # Anything from zero up: two that collided must not meet again.
    wait = random.uniform(0, FIRST_WAIT * 2**number)  # noqa: S311  not a secret
    log.warning("transaction_retried", attempt=number, wait=round(wait, 3), error=str(error))
    time.sleep(wait)


def roll_back(session: Session) -> None:
    """Undo what is not committed, whatever state the connection is in."""
    try:
        session.rollback()
    except DBAPIError:
        session.invalidate()  # The connection is beyond use, and the first error says why.
